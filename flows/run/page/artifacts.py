"""The artifacts of a run page, one of each key however often the run is tried, and the progress that one shows."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from uuid import UUID

import httpx
from prefect import get_run_logger
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import ArtifactCreate, ArtifactUpdate
from prefect.client.schemas.filters import ArtifactFilter
from prefect.exceptions import Pause
from prefect.runtime import flow_run

from engine.domain.progress import LISTENER, Event, Noticed, Progress
from engine.estimate.forecast import RunForecast

INTERVAL_SECONDS = 2.0


async def show(run_id: str, key: str, data: str | float, description: str) -> None:
    """Puts an artifact on the page of a flow run: markdown, or a percentage for ``progress``.

    A run that is retried has the artifact already; then it is changed.

    Raises:
        httpx.HTTPError: the server is away, or refuses.
    """
    run, kind = UUID(run_id), "progress" if key == "progress" else "markdown"
    its = ArtifactFilter(flow_run_id={"any_": [run]}, key={"any_": [key]})
    async with get_client() as client:
        for artifact in await client.read_artifacts(artifact_filter=its, limit=1):
            await client.update_artifact(artifact.id, ArtifactUpdate(data=data, description=description))
            return
        wanted = ArtifactCreate(key=key, type=kind, data=data, description=description, flow_run_id=run)
        await client.create_artifact(wanted)


async def show_page(run_id: str, key: str, page: str, description: str) -> None:
    """Puts markdown on the page of a flow run; a server that is away is no reason for what is done to fail."""
    try:
        await show(run_id, key, page, description)
    except httpx.HTTPError as error:
        get_run_logger().warning("The run page lacks its artifact %s: %s", key, error)


class PublishedProgress:
    """Has the events added up, and heard by the command that runs the flow, and logs what is to be noticed."""

    def __init__(self, forecast: RunForecast) -> None:
        heard_by = LISTENER.get()
        self._listeners: list[Progress] = [forecast] if heard_by is None else [forecast, heard_by]
        self._run_logger = get_run_logger()

    def report(self, event: Event) -> None:
        """Takes one event."""
        for listener in self._listeners:
            listener.report(event)
        if isinstance(event, Noticed):
            self._run_logger.warning("%s", event.text)


@asynccontextmanager
async def show_progress(forecast: RunForecast) -> AsyncIterator[None]:
    """Inside the block an artifact of the run page follows the forecast."""
    shown = None

    async def publish() -> None:
        nonlocal shown
        state = forecast.share, _describe(forecast)
        if state != shown:
            await _show(*state)
            shown = state

    last = None
    try:
        async with repeating(publish, INTERVAL_SECONDS):
            yield
        last = 1.0, "Done"
    except Pause:
        last = 0.0, f"Waits: {forecast.stage}"
        raise
    finally:
        await _show(*(last or (forecast.share, f"Ended at {_describe(forecast)}")))


@asynccontextmanager
async def repeating(work: Callable[[], Awaitable[None]], seconds: float) -> AsyncIterator[None]:
    """Does something at once, and every so many seconds, while the block runs."""

    async def repeat() -> None:
        while True:
            await work()
            await asyncio.sleep(seconds)

    task = asyncio.create_task(repeat())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _describe(forecast: RunForecast) -> str:
    """“34 %, about 3 min left, 8 of 80 kept, 61 more stand: Round 2: 113 cells”: the page's cards show no bar."""
    kept, standing = sum(forecast.kept.values()), forecast.candidates.total()
    parts = [f"{100 * forecast.share:.0f} %", *forecast.describe_left()]
    parts += [f"{kept:,} of {sum(forecast.quotas.values()):,} kept"] if kept else []
    parts += [f"{standing:,}{' more' if kept else ''} stand"] if standing else []
    return f"{', '.join(parts)}: {forecast.stage}"


async def _show(share: float, words: str) -> None:
    # A server that does not answer for a while is no reason to fail.
    with suppress(httpx.HTTPError):
        await show(str(flow_run.get_id()), "progress", 100 * share, words)
