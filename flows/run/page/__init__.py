"""The page of a run in Prefect: its progress and its verdict as artifacts."""
