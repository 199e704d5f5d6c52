"""Retention: removes old rejected sets, unused replies, and finished flow runs."""
