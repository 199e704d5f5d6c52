"""Hands a model's sample sets on: files that other programs read."""
