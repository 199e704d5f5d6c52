"""Embedded models from the command line."""
