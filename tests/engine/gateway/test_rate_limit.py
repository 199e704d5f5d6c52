"""The rate limiter of a run without rates makes no call wait."""

import asyncio

from engine.gateway.rate_limit import NoRateLimit, RateLimiter


async def test_limiter_without_rates_lets_every_call_through_at_once() -> None:
    rate_limiter: RateLimiter = NoRateLimit()
    async with asyncio.timeout(10):
        for _ in range(1000):
            await rate_limiter.acquire(1_000_000)
            await rate_limiter.return_unused(1_000_000)
