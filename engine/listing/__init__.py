"""List the samples of a model in pages, count them, find them by id, and render the card of the model."""
