"""The domain's nouns and events: a model, its samples, votes, and what a run reports while it goes on."""
