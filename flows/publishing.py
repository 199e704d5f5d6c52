"""Publishing: the run's progress as an artifact of its page, a bar that moves; the door reads it there."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import httpx
from prefect.artifacts import acreate_progress_artifact, aupdate_progress_artifact

from engine.progress import Event, LoggedProgress, Share

INTERVAL_SECONDS = 2.0
DESCRIPTION = "How far the run is"


class PublishedProgress(LoggedProgress):
    """Logs the events, and adds them up to the share of the run that is done."""

    def __init__(self) -> None:
        super().__init__()
        self.share = Share()

    def report(self, event: Event) -> None:
        """Takes one event."""
        super().report(event)
        self.share.take(event)


@asynccontextmanager
async def publish_progress() -> AsyncIterator[PublishedProgress]:
    """Inside the block the page of this flow run shows what is reported."""
    progress = PublishedProgress()
    publishing = asyncio.create_task(_publish(progress))
    try:
        yield progress
    finally:
        publishing.cancel()
        with suppress(asyncio.CancelledError):
            await publishing


async def _publish(progress: PublishedProgress) -> None:
    """Sends the share whenever it has changed. A server that does not answer for a while is no reason to fail."""
    artifact, sent = None, -1.0
    while True:
        share = progress.share.value
        if share != sent:
            with suppress(httpx.HTTPError):
                if artifact is None:
                    artifact = await acreate_progress_artifact(100 * share, description=DESCRIPTION)
                else:
                    await aupdate_progress_artifact(artifact, 100 * share, description=DESCRIPTION)
                sent = share
        await asyncio.sleep(INTERVAL_SECONDS)
