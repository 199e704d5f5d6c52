"""Fit the axis between the poles of a trait, measure its quality, and score texts on it."""
