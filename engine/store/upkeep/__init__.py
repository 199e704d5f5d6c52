"""Looks after a store: sweeps what dead processes left, prunes what is old, and verifies every byte."""
