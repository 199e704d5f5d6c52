"""What Prefect knows of a run: its labels, its model's lease, whether somebody has cancelled it."""
