"""``make serve``: Prefect's server, the deployments, a worker and the HTTP door on this machine."""
