"""Runs from the command line: the dry run, kept replies, what is old."""
