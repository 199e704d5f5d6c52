"""Accepts each exemplar or rejects it with a reason: by the rules, by the in-context judge and by the chat judge."""
