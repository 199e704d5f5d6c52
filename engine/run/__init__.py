"""One run as a whole: its job, its models, the pipeline of its rounds, and its outcome."""
