"""The page of a backfill: a table of its models that follows the ledger, a bar, and the ledger's own file."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx
from prefect import get_run_logger
from prefect.runtime import flow_run

from engine.backfills.ledger import Ledger, locate_ledger, write_ledger
from engine.backfills.page import describe_backfill, write_backfill_page
from engine.backfills.targets import BackfillRequest
from engine.errors import StoreError
from engine.settings import Settings
from flows.run.page.artifacts import show

SHOW_SECONDS = 3.0
# On an object store each is a request, and a backfill may take a night.
WRITE_SECONDS = 15.0


class LedgerPage:
    """Shows and writes the ledger while the backfill goes on; ``update`` brings the ledger up to date before."""

    def __init__(self, samples_uri: str, ledger: Ledger, request: BackfillRequest) -> None:
        self.update: Callable[[], None] = lambda: None
        self._samples_uri = samples_uri
        self._ledger = ledger
        self._run_id = str(flow_run.get_id())
        asked = ("synth_type", "effort", "force", "max_cost_usd")
        self._about = {"run_id": self._run_id, **{name: getattr(request, name) for name in asked}}
        self._shown = ""

    async def follow(self) -> None:
        """Shows and writes the ledger until it is cancelled."""
        written_at = time.monotonic()
        while True:
            self.update()
            await self.show()
            if time.monotonic() - written_at > WRITE_SECONDS:
                await self.write()
                written_at = time.monotonic()
            await asyncio.sleep(SHOW_SECONDS)

    async def show(self) -> None:
        """Shows what has changed. A server that does not answer for a while is no reason to fail."""
        file = locate_ledger(self._samples_uri, self._run_id)
        page = write_backfill_page(self._ledger, self._about, file)
        words = describe_backfill(self._ledger)
        try:
            if page != self._shown:
                await show(self._run_id, "progress", 100 * round(self._ledger.share, 3), words[0])
                await show(self._run_id, "verdict", page, "\n\n".join(words))
                self._shown = page
        except httpx.HTTPError as error:
            get_run_logger().debug("The page was not brought up to date: %s", error)

    async def write(self) -> None:
        """Writes the ledger's file. A store that takes nothing is no reason to fail: writing the sets would fail as
        well.
        """
        try:
            await asyncio.to_thread(write_ledger, self._samples_uri, self._run_id, self._ledger, self._about)
        except StoreError as error:
            get_run_logger().warning("The file of this backfill's models was not written: %s", error)


@asynccontextmanager
async def publish_ledger(settings: Settings, ledger: Ledger, request: BackfillRequest) -> AsyncIterator[LedgerPage]:
    """Inside the block the page of this flow run follows the ledger; it is shown and written a last time at the end."""
    page = LedgerPage(settings.locate(settings.samples_uri), ledger, request)
    await page.write()
    following = asyncio.create_task(page.follow())
    try:
        yield page
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        ledger.ended = True
        await page.show()
        await page.write()
