"""A run as a whole: the job, the pipeline of its rounds, and which models a backfill is about."""
