"""One way to a model: kept reply, budget, throttle, retries."""
