"""Estimates what a run will cost: its calls, their tokens and prices, and the sentences that say so."""
