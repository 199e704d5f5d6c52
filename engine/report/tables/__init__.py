"""The tables and pictures of the report."""
