"""The HTTP API's requests to Prefect: which runs a model has, and creating a new one, at most one at a time."""
