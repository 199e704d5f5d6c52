"""Prometheus metrics of the HTTP door and of the sample store."""
