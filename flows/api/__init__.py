"""HTTP API: parse requests, enqueue runs in Prefect and read the sample store."""
