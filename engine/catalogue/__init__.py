"""An overview of all models: their samples, the result of their last run, and the findings that need a person."""
