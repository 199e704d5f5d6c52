"""The middleware that every request passes before its route: metrics, errors, key, body size, host."""
