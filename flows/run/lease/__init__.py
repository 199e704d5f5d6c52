"""One run at a time works on a model: the lease, its slot, and the takeover from a dead holder."""
