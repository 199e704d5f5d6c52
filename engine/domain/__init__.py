"""The values that everything else works on: a model, its samples, votes, and a run's progress events."""
