"""The samples of earlier sets, and their hashes, for the comparison with new texts."""
