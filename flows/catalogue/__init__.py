"""The feature catalogue: its flow and its command."""
