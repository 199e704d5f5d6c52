"""The HTTP API, called the HTTP door: parses requests, enqueues runs in Prefect, reads the sample store."""
