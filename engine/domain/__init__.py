"""Values that all other rooms use: a model, its samples, votes, and a run's progress events."""
