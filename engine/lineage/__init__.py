"""The lineage of a sample: its set, its prompt and reply, and the decisions of people."""
