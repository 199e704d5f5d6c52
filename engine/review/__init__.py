"""A person's review of a proposed set: the decision, corrections and the review page."""
