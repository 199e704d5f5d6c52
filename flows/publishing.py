"""Publishing: the run's progress as an artifact of its page, a bar that moves; the door reads it there."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from uuid import UUID

import httpx
from prefect import get_run_logger
from prefect.artifacts import acreate_progress_artifact, aupdate_progress_artifact

from engine.progress import Event, LoggedProgress, Noticed, Progress, Share

INTERVAL_SECONDS = 2.0
DESCRIPTION = "How far the run is"


class PublishedProgress(LoggedProgress):
    """Logs the events, hands them on, and adds them up to the share of the run that is done."""

    def __init__(self, listener: Progress | None = None) -> None:
        super().__init__()
        self.share = Share()
        self._listener = listener
        self._run_logger = get_run_logger()

    def report(self, event: Event) -> None:
        """Takes one event."""
        super().report(event)
        self.share.take(event)
        if self._listener is not None:
            self._listener.report(event)
        if isinstance(event, Noticed):
            self._run_logger.warning("%s", event.text)


@asynccontextmanager
async def publish_progress(listener: Progress | None = None) -> AsyncIterator[PublishedProgress]:
    """Inside the block the page of this flow run shows what is reported, and the listener is told, too."""
    progress = PublishedProgress(listener)
    bar = Bar()
    publishing = asyncio.create_task(_publish(progress, bar))
    try:
        yield progress
    finally:
        publishing.cancel()
        await asyncio.gather(publishing, return_exceptions=True)
        await bar.show(progress.share.value)


async def _publish(progress: PublishedProgress, bar: "Bar") -> None:
    while True:
        await bar.show(progress.share.value)
        await asyncio.sleep(INTERVAL_SECONDS)


class Bar:
    """The artifact, made when there is something to show."""

    def __init__(self) -> None:
        self._artifact: UUID | None = None
        self._shown = -1.0

    async def show(self, share: float) -> None:
        """Shows a share that is new. A server that does not answer for a while is no reason to fail."""
        if share == self._shown:
            return
        with suppress(httpx.HTTPError):
            if self._artifact is None:
                self._artifact = await acreate_progress_artifact(100 * share, description=DESCRIPTION)
            else:
                await aupdate_progress_artifact(self._artifact, 100 * share, description=DESCRIPTION)
            self._shown = share
