"""Writes a project of Great Expectations over a sample store, which people open with Great Expectations alone."""
