"""The gateway to a model: kept replies, budget, throttle and retries."""
