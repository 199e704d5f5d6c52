"""One call to a language model: the request, litellm's client, the reply, its price and its errors."""
