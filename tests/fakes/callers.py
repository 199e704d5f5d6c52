"""Processes that make calls through the rate limiter, as runs do; this module is their program."""

import asyncio
import logging
import random
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress

from fakes.site import clear_environment
from fakes.workspace import ROOT

from engine.llm.gateway.metered import RateLimiter
from engine.settings import read_settings
from flows.run.rate_limiter import open_rate_limiter


def start_callers(api: str, callers: int, seconds: float, **settings: str) -> "subprocess.Popen[str]":
    """Starts a process with so many callers, for so long; ``settings`` are EXEMPLARS_ variables, unprefixed."""
    ours = {f"EXEMPLARS_{name.upper()}": value for name, value in settings.items()}
    return subprocess.Popen(
        [sys.executable, "-m", "fakes.callers", str(callers), str(seconds)],
        env={**clear_environment(), **ours, "PREFECT_API_URL": api, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def gather(callers: Sequence["subprocess.Popen[str]"]) -> list[float]:
    times: list[float] = []
    for process in callers:
        out, said = process.communicate()
        assert 0 == process.returncode, said
        times += map(float, out.split())
    return sorted(times)


def count_most(times: Sequence[float], seconds: float = 60.0) -> int:
    return max(sum(begin <= moment < begin + seconds for moment in times) for begin in times)


async def call(rate_limiter: RateLimiter) -> None:
    while True:
        await rate_limiter.acquire(1)
        print(f"{time.time():.4f}", flush=True)
        await asyncio.sleep(random.uniform(0.5, 1.5))


async def call_all(callers: int, seconds: float) -> None:
    async with open_rate_limiter(read_settings(), logging.getLogger("callers")) as rate_limiter:
        # A call that fails ends the program; all are stopped when the time is up.
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds), asyncio.TaskGroup() as group:
                for _ in range(callers):
                    group.create_task(call(rate_limiter))


if __name__ == "__main__":
    asyncio.run(call_all(int(sys.argv[1]), float(sys.argv[2])))
