"""Embedded models: their files, where these come from, and the server that asks them."""
