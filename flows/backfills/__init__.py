"""The steps of a backfill: child runs that share a process, terminal output, and parts for other workers."""
