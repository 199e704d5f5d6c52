"""Batches: runs that wait for a provider's batch, and what sends, collects and wakes."""
