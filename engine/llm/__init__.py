"""A call to a language model: litellm, the embedded model, prices, errors of providers, secrets taken out."""
