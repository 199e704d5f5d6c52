"""A person's decision on a proposed set: what stands of it, and what is left out."""
