"""Retention: removes old rejected sets and unused replies."""
