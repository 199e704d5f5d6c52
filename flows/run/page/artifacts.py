"""Write the artifacts of a run page, one for each key even if the run is retried, and publish its progress."""

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
    """Put an artifact on the page of a flow run: markdown, or a percentage for ``progress``.

    A run that is retried already has the artifact; then it is updated.

    Raises:
        httpx.HTTPError: the server is away, or refuses.
    """
    run, kind = UUID(run_id), "progress" if key == "progress" else "markdown"
    same_key = ArtifactFilter(flow_run_id={"any_": [run]}, key={"any_": [key]})
    async with get_client() as client:
        for artifact in await client.read_artifacts(artifact_filter=same_key, limit=1):
            await client.update_artifact(artifact.id, ArtifactUpdate(data=data, description=description))
            return
        new = ArtifactCreate(key=key, type=kind, data=data, description=description, flow_run_id=run)
        await client.create_artifact(new)


async def show_page(run_id: str, key: str, page: str, description: str) -> None:
    """Put markdown on the page of a flow run. A server that is away does not fail the run."""
    try:
        await show(run_id, key, page, description)
    except httpx.HTTPError as error:
        get_run_logger().warning("The run page lacks its artifact %s: %s", key, error)


class PublishedProgress:
    """Pass events to the forecast and to the command that runs the flow, and log notices."""

    def __init__(self, forecast: RunForecast) -> None:
        listener = LISTENER.get()
        self._listeners: list[Progress] = [forecast] if listener is None else [forecast, listener]
        self._run_logger = get_run_logger()

    def report(self, event: Event) -> None:
        """Pass on one event."""
        for listener in self._listeners:
            listener.report(event)
        if isinstance(event, Noticed):
            self._run_logger.warning("%s", event.text)


@asynccontextmanager
async def show_progress(forecast: RunForecast) -> AsyncIterator[None]:
    """Show the forecast in an artifact of the run page during the block."""
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
    """Repeat a piece of work, at once and every ``seconds``, during the block."""

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
    """Return “34 %, about 3 min left, 8 of 80 kept, 61 more candidates: Round 2: 113 cells”: cards show no bar."""
    kept, candidates = sum(forecast.kept.values()), forecast.candidates.total()
    parts = [f"{100 * forecast.share:.0f} %", *forecast.describe_left()]
    parts += [f"{kept:,} of {sum(forecast.quotas.values()):,} kept"] if kept else []
    parts += [f"{candidates:,}{' more' if kept else ''} candidate{'s' * (candidates > 1)}"] if candidates else []
    return f"{', '.join(parts)}: {forecast.stage}"


async def _show(share: float, words: str) -> None:
    # A server that does not answer for a while must not fail the run.
    with suppress(httpx.HTTPError):
        await show(str(flow_run.get_id()), "progress", 100 * share, words)
