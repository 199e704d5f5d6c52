"""The HTTP door: it parses a request, asks Prefect for a run or reads the store, and maps errors to statuses."""
