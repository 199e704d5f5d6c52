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
from flows.run.page.artifacts import repeating, show

PUBLISH_SECONDS = 5.0


@asynccontextmanager
async def publish_ledger(samples_uri: str, ledger: Ledger, update: Callable[[], None]) -> AsyncIterator[None]:
    """Inside the block the page of this flow run and the ledger's file follow the ledger; both once more at the end.

    Args:
        update: brings the ledger up to date.
    """
    run_id, shown = str(flow_run.get_id()), ""

    async def publish() -> None:
        nonlocal shown
        update()
        page, words = write_backfill_page(ledger, locate_ledger(samples_uri, run_id)), describe_backfill(ledger)
        if page == shown:
            return
        # A server that does not answer, or a store that takes nothing, is no reason to fail: writing the sets would.
        try:
            await asyncio.to_thread(write_ledger, samples_uri, run_id, ledger)
            await show(run_id, "progress", 100 * round(ledger.share, 3), words[0])
            await show(run_id, "verdict", page, "\n\n".join(words))
            shown = page
        except (StoreError, httpx.HTTPError) as error:
            get_run_logger().warning("The page of this backfill was not brought up to date: %s", error)

    try:
        async with repeating(publish, PUBLISH_SECONDS):
            yield
    finally:
        ledger.ended = True
        await publish()
