"""The lock for creating runs: one request at a time, and at a distance once Prefect's server was too busy."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

# After it has created a run, Prefect's server writes once more. On SQLite a request that arrives meanwhile is refused,
# after up to two seconds: 32 runs took 57 s. With 20 ms or more between two runs none was refused
# (docs/decisions/017-idempotency.md).
SPACING_SECONDS = 0.05


class RunCreationLock:
    """Lets one request at a time look up a model's newest run and create its successor.

    Once the server has refused a writer because it was busy, successive creations are also spaced in time.
    """

    def __init__(self, spacing_seconds: float = SPACING_SECONDS) -> None:
        self._spacing_seconds = spacing_seconds
        self._is_spaced = False
        self._lock = asyncio.Lock()
        self._made_at = time.monotonic()

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[None]:
        """Holds the lock inside the block."""
        async with self._lock:
            yield

    @asynccontextmanager
    async def spaced(self) -> AsyncIterator[None]:
        """Wraps the request that creates a run; first waits for the spacing if that is enabled."""
        if self._is_spaced:
            await asyncio.sleep(self._made_at + self._spacing_seconds - time.monotonic())
        try:
            yield
        finally:
            self._made_at = time.monotonic()

    def enable_spacing(self) -> None:
        """Spaces creations from now on, because the server refuses concurrent writers."""
        self._is_spaced = True
