"""``make serve``: runs Prefect's server, the deploy step, a worker and the HTTP door on this machine."""
