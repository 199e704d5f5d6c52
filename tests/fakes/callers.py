"""A program that makes calls through the rate limiter, as a run does: a line for each, and its costs at the end.

The lines have the time of the call and the tokens that it used, as what the provider would see.
"""

import argparse
import asyncio
import json
import logging
import random
import resource
import sys
import time

from engine.gateway.rate_limit import RateLimiter
from engine.settings import read_settings
from flows.runtime.rate_limiter import open_rate_limiter


class Counter(logging.Handler):
    """Counts the requests to Prefect, each of which httpx logs."""

    count = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.count += record.name == "httpx"


async def call(rate_limiter: RateLimiter, told: argparse.Namespace, end: float) -> None:
    source = random.Random()
    while time.time() < end:
        await rate_limiter.acquire(told.reserved)
        used = source.randint(told.used // 2, told.used)
        print(f"{time.time():.4f} {used}", flush=True)
        await asyncio.sleep(told.call_seconds * source.uniform(0.5, 1.5))
        await rate_limiter.return_unused(told.reserved - used)


async def call_all(told: argparse.Namespace) -> None:
    async with open_rate_limiter(read_settings(), logging.getLogger("callers")) as rate_limiter:
        calling = [
            asyncio.create_task(call(rate_limiter, told, time.time() + told.seconds)) for _ in range(told.callers)
        ]
        # A call that fails ends the program; all others are stopped when the time is up.
        ended, waiting = await asyncio.wait(calling, timeout=told.seconds, return_when=asyncio.FIRST_EXCEPTION)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        for task in ended:
            task.result()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--callers", type=int, default=8)
    parser.add_argument("--reserved", type=int, default=1)
    parser.add_argument("--used", type=int, default=1)
    parser.add_argument("--call-seconds", type=float, default=1.0)
    told = parser.parse_args()
    counter = Counter()
    # Imports have told httpx to keep quiet.
    logging.basicConfig(level=logging.INFO, handlers=[counter], force=True)
    logging.getLogger("httpx").setLevel(logging.INFO)
    logging.getLogger("callers").addHandler(logging.StreamHandler())
    asyncio.run(call_all(told))
    spent = resource.getrusage(resource.RUSAGE_SELF)
    costs = {"requests_per_second": counter.count / told.seconds, "cpu_seconds": spent.ru_utime + spent.ru_stime}
    print(json.dumps(costs), file=sys.stderr)


if __name__ == "__main__":
    main()
