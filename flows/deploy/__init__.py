"""Command ``make deploy``: work pool, queues, deployments, automations and alerts on a Prefect server."""
