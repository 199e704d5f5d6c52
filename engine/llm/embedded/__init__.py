"""Embedded models: their files, the sources of the files, and the server that runs them."""
