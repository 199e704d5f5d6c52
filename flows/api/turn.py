"""The turn to make a run: the door's requests for one go to Prefect's server one after another, not too close."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

# Prefect's server writes once more when it has made a run. On SQLite a request that comes into that is sent away, after
# up to two seconds: 32 runs took 57 s. From 20 ms on none was (docs/decisions/017-idempotency.md).
DISTANCE_SECONDS = 0.05


class Turn:
    """One request at a time looks for a model's newest run and makes its successor.

    Where the server sends some away, a distance is kept between two that make one.
    """

    def __init__(self, distance_seconds: float = DISTANCE_SECONDS) -> None:
        self._distance_seconds = distance_seconds
        self._keeps_distance = False
        self._lock = asyncio.Lock()
        self._made_at = time.monotonic()

    @asynccontextmanager
    async def take(self) -> AsyncIterator[None]:
        """Whoever is in the block has the turn."""
        async with self._lock:
            yield

    @asynccontextmanager
    async def make(self) -> AsyncIterator[None]:
        """Around the request that makes a run, by whoever has the turn."""
        if self._keeps_distance:
            await asyncio.sleep(self._made_at + self._distance_seconds - time.monotonic())
        try:
            yield
        finally:
            self._made_at = time.monotonic()

    def keep_distance(self) -> None:
        """From now on: this server is one that sends writers away."""
        self._keeps_distance = True
