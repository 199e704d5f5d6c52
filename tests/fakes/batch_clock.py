"""The clock of a command that waits for a batch, and of the server, moved on after each look."""

import time
from typing import Any

import pytest
from fakes.batches import BatchServer

from flows.batches import collect


def move_clock(patch: pytest.MonkeyPatch, server: BatchServer, seconds: float, most_looks: int = 1000) -> list[float]:
    """Has each look but the first be so many seconds later than the one before; when each was, by this machine's clock.

    More looks than ``most_looks`` fail the test.
    """
    looks, once = list[float](), collect.collect_once

    async def look(*arguments: Any) -> Any:
        assert len(looks) < most_looks
        if looks:
            server.advance(seconds)
        told = await once(*arguments)
        looks.append(time.monotonic())
        return told

    patch.setattr(collect, "LOOK_SECONDS", 0.01)
    patch.setattr(collect, "CLOCK", server.clock)
    patch.setattr(collect, "collect_once", look)
    return looks
