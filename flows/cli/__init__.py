"""The command ``exemplars`` and what it prints."""
