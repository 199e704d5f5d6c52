"""What one run needs of Prefect: its lease, labels and events, its resources, its rounds, and what it comes to."""
