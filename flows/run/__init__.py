"""One run in Prefect: its lease, labels and events, its resources, its rounds and its outcome."""
