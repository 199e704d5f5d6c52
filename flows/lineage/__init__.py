"""The feature origin: its command."""
