"""One run at a time works on a model: the lease, the slot it is kept in, and what becomes of a dead holder."""
