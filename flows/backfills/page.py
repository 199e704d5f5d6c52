"""The page of a backfill: a table of its models that follows the ledger, a bar, and the ledger's own file."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx
from prefect import get_run_logger
from prefect.runtime import flow_run

from engine.backfills.ledger import Ledger, locate_ledger, write_ledger
from engine.backfills.page import describe_backfill, write_backfill_page
from engine.errors import StoreError
from engine.settings import Settings
from flows.run.page.artifacts import show

PUBLISH_SECONDS = 5.0


class LedgerPage:
    """Shows and writes the ledger while the backfill goes on; ``update`` brings the ledger up to date before."""

    def __init__(self, samples_uri: str, ledger: Ledger) -> None:
        self.update: Callable[[], None] = lambda: None
        self._samples_uri = samples_uri
        self._ledger = ledger
        self._run_id = str(flow_run.get_id())
        self._shown = ""

    async def follow(self) -> None:
        """Publishes the ledger until it is cancelled."""
        while True:
            self.update()
            await self.publish()
            await asyncio.sleep(PUBLISH_SECONDS)

    async def publish(self) -> None:
        """Shows and writes what has changed. A server that does not answer, or a store that takes nothing, is no reason
        to fail: writing the sets would fail as well.
        """
        page = write_backfill_page(self._ledger, locate_ledger(self._samples_uri, self._run_id))
        if page == self._shown:
            return
        words = describe_backfill(self._ledger)
        try:
            await asyncio.to_thread(write_ledger, self._samples_uri, self._run_id, self._ledger)
            await show(self._run_id, "progress", 100 * round(self._ledger.share, 3), words[0])
            await show(self._run_id, "verdict", page, "\n\n".join(words))
            self._shown = page
        except (StoreError, httpx.HTTPError) as error:
            get_run_logger().warning("The page of this backfill was not brought up to date: %s", error)


@asynccontextmanager
async def publish_ledger(settings: Settings, ledger: Ledger) -> AsyncIterator[LedgerPage]:
    """Inside the block the page of this flow run follows the ledger; it is published a last time at the end."""
    page = LedgerPage(settings.locate(settings.samples_uri), ledger)
    following = asyncio.create_task(page.follow())
    try:
        yield page
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        ledger.ended = True
        await page.publish()
