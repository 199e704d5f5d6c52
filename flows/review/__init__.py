"""The feature review: a run that waits for a person, and the decision that ends its proposal."""
