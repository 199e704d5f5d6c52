"""Where a text comes from: the set that it stands in, its prompt and reply, and what people decided of it."""
