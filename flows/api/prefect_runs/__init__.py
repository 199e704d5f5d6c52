"""The door's questions to Prefect: which runs a model has, and a new one, at most one however many ask."""
