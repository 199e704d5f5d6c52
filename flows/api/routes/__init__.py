"""The routes of the HTTP door."""
