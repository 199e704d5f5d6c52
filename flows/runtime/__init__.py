"""What one run needs of Prefect: how its steps are called, resources, progress, rate limits, keys."""
