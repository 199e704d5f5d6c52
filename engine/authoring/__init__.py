"""Tools for a model's author: the first file and its JSON Schema, validation, suggestions and added labels."""
