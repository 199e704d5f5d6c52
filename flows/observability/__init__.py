"""Logs of a process for operators."""
