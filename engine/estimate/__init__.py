"""Estimate the cost of a run: its calls, their tokens, prices and time, and sentences that explain them."""
