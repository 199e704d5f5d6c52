"""Logs, metrics, and the outcome of each run, for operators."""
