"""Batches: calls that nobody waits for go to a provider in a file, at about half the price."""
