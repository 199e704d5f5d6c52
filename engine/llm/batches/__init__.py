"""Provider batches: calls that are not urgent are sent in one file, at about half the price."""
