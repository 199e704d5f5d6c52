"""What a backfill is made of: runs that share a process, their page, and parts for other workers."""
