"""The feature review: a run that waits for a person, and what ends its proposal."""
