"""A person's word on a proposed set: what stands of it, and what is left out."""
