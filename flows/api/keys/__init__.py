"""The API keys: what each permits, and the file that keeps their digests."""
