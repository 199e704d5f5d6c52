"""The keys of the HTTP door: who may do what, and the file that keeps their digests."""
