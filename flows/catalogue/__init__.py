"""The feature catalogue: its flow, its command, and what Prefect knows of each model's last run."""
