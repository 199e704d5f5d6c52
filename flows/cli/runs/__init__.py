"""Runs from the command line: the dry run, many models, kept replies, what is old."""
