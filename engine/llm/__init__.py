"""Calls to language models: litellm, the embedded model, prices, provider errors, and redaction of secrets."""
