"""The turn to make a run: the door's requests for one go to Prefect's server one after another, and not too close."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

# Prefect's server writes once more when it has made a run. On SQLite a request that comes into that is sent away, after
# up to two seconds: 32 runs took 57 s. From 20 ms on none was (docs/decisions/017-idempotency.md).
DISTANCE_SECONDS = 0.05


class Turn:
    """Makes one run at a time, and keeps a distance between two from when the server sent one away."""

    def __init__(self, distance_seconds: float = DISTANCE_SECONDS) -> None:
        self._distance_seconds = distance_seconds
        self._keeps_distance = False
        self._lock = asyncio.Lock()
        self._ended_at = time.monotonic()

    @asynccontextmanager
    async def take(self) -> AsyncIterator[None]:
        """Whoever is in the block has the turn."""
        async with self._lock:
            if self._keeps_distance:
                await asyncio.sleep(self._ended_at + self._distance_seconds - time.monotonic())
            try:
                yield
            finally:
                self._ended_at = time.monotonic()

    def keep_distance(self) -> None:
        """From now on: this server is one that sends writers away."""
        self._keeps_distance = True
