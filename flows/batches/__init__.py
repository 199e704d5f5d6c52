"""Batches: runs that wait for a provider's batch, and the collector that sends calls and resumes runs."""
