"""All models at a glance: how many samples each has, what came of its last run, and what needs a person."""
