"""The page of a run in Prefect: its estimate, its progress and its verdict, as artifacts."""
