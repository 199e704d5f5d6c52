"""What every request passes before its route: envelope, host, metrics, key, size of its body."""
