"""The HTTP API: parses requests, enqueues runs in Prefect, reads the sample store."""
