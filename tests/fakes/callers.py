"""A program that makes calls through the rate limiter, as a run does, and prints the time of each."""

import argparse
import asyncio
import logging
import random
import time

from engine.gateway.rate_limit import RateLimiter
from engine.settings import read_settings
from flows.runtime.rate_limiter import open_rate_limiter


async def call(rate_limiter: RateLimiter, end: float) -> None:
    while time.time() < end:
        await rate_limiter.acquire(1)
        print(f"{time.time():.4f}", flush=True)
        await asyncio.sleep(random.uniform(0.5, 1.5))


async def call_all(callers: int, seconds: float) -> None:
    async with open_rate_limiter(read_settings(), logging.getLogger("callers")) as rate_limiter:
        calling = [asyncio.create_task(call(rate_limiter, time.time() + seconds)) for _ in range(callers)]
        # A call that fails ends the program; all others are stopped when the time is up.
        ended, waiting = await asyncio.wait(calling, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        for task in ended:
            task.result()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--callers", type=int, required=True)
    told = parser.parse_args()
    asyncio.run(call_all(told.callers, told.seconds))
