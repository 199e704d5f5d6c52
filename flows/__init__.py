"""Flows that people and programs can start, and the order of their steps."""
