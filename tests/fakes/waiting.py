"""Waiting for what no event tells: one way for all tests."""

import asyncio
import subprocess
import time
from collections.abc import Callable
from typing import Any

SECONDS = 120.0


def wait_until(
    condition: Callable[[], object],
    seconds: float = SECONDS,
    what: str = "what the test waits for",
    *,
    process: "subprocess.Popen[Any] | None" = None,
) -> None:
    """Waits until something holds; the longer it takes the more rarely it is asked, since a server pays for that.

    Args:
        process: has to live as long as that.

    Raises:
        AssertionError: it did not come to hold in time, or the process ended before.
    """
    begun = time.monotonic()
    while not condition():
        waited = time.monotonic() - begun
        if process is not None and process.poll() is not None:
            raise AssertionError(f"the process ended before: {what}: {process.communicate()[1] or process.returncode}")
        assert waited < seconds, f"not within {seconds:g} s: {what}"
        time.sleep(min(max(waited / 20, 0.02), 0.5))


async def wait_meanwhile(condition: Callable[[], object], seconds: float = 30.0) -> None:
    """Waits on the event loop until something holds that another thread, or a log, makes true."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 (no event tells)
            await asyncio.sleep(0.01)
