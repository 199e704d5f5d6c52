"""The API keys of the HTTP door: what each permits, and the file that keeps their digests."""
