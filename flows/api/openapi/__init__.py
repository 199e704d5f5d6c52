"""The OpenAPI document: what every operation answers, with examples and refusals."""
