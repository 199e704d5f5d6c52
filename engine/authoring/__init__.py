"""What helps an author of a model: its file to begin with, the JSON Schemas, and what validation finds."""
