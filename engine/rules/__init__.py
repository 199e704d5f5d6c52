"""Rejection rules: each has a code, an explanation and a remedy, and those about single texts find their fault."""
