"""The OpenAPI document: the responses of every operation, with examples and refusals."""
