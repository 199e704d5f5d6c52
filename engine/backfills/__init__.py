"""Many models at once: which are meant, the ledger of what has become of each, and its page."""
