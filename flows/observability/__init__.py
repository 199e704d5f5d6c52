"""Logs, metrics, and how a run ended, for those who watch from outside."""
