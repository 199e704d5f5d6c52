"""The page of a backfill: a table of its models that follows the ledger, a bar, and the ledger's own file."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
from prefect import get_run_logger
from prefect.runtime import flow_run

from engine.backfills.ledger import Ledger, locate_ledger, write_ledger
from engine.backfills.page import describe_backfill, write_backfill_page
from engine.errors import StoreError
from engine.settings import Settings
from flows.run.page.artifacts import show

SHOW_SECONDS = 3.0
# On an object store each is a request, and a backfill may take a night.
WRITE_SECONDS = 15.0


class LedgerPage:
    """Shows and writes the ledger while the backfill goes on. ``updates`` are called before, to bring it up to date.

    ``ended`` says that the page is shown for the last time.
    """

    def __init__(self, samples_uri: str, ledger: Ledger, about: Mapping[str, Any]) -> None:
        self.updates: list[Callable[[], None]] = []
        self.ended = False
        self._samples_uri = samples_uri
        self._ledger = ledger
        self._run_id = str(flow_run.get_id())
        self._about = {"run_id": self._run_id, **about}
        self._shown = ("", 0.0, "")
        self._written_at = 0.0

    async def follow(self) -> None:
        """Shows and writes the ledger until it is cancelled."""
        while True:
            for look in self.updates:
                look()
            await self.show()
            if time.monotonic() - self._written_at > WRITE_SECONDS:
                await self.write()
            await asyncio.sleep(SHOW_SECONDS)

    async def show(self) -> None:
        """Shows what has changed. A server that does not answer for a while is no reason to fail."""
        file = locate_ledger(self._samples_uri, self._run_id)
        page = write_backfill_page(self._ledger, self._about, file, self.ended)
        share, words = round(self._ledger.share, 3), describe_backfill(self._ledger, self.ended)
        try:
            if (page, share, words[0]) != self._shown:
                await show(self._run_id, "progress", 100 * share, words[0])
                await show(self._run_id, "verdict", page, "\n\n".join(words))
                self._shown = page, share, words[0]
        except httpx.HTTPError as error:
            get_run_logger().debug("The page was not brought up to date: %s", error)

    async def write(self) -> None:
        """Writes the ledger's file. A store that takes nothing is no reason to fail: writing the sets would fail as
        well.
        """
        self._written_at = time.monotonic()
        try:
            await asyncio.to_thread(write_ledger, self._samples_uri, self._run_id, self._ledger, self._about)
        except StoreError as error:
            get_run_logger().warning("The file of this backfill's models was not written: %s", error)


@asynccontextmanager
async def publish_ledger(settings: Settings, ledger: Ledger, about: Mapping[str, Any]) -> AsyncIterator[LedgerPage]:
    """Inside the block the page of this flow run follows the ledger; it is shown and written a last time at the end."""
    page = LedgerPage(settings.locate(settings.samples_uri), ledger, about)
    await page.write()
    following = asyncio.create_task(page.follow())
    try:
        yield page
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        page.ended = ledger.ended = True
        await page.show()
        await page.write()
