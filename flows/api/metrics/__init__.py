"""What Prometheus may read of the HTTP door and of the sample store."""
