"""The feature authoring: commands that begin a model, check it, and write what other tools read of it."""
