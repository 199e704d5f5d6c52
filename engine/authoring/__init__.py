"""What helps an author of a model: its file to begin with, its JSON Schema, and what validation finds."""
