"""All runs of a process are stopped together, whether they are watched already or only begin."""

import asyncio
from typing import cast
from uuid import uuid4

from prefect.client.orchestration import SyncPrefectClient

from engine.errors import RunInterruptedError
from flows.run.cancellation import CancellationWatcher


async def test_stop_reaches_those_that_are_watched_and_those_that_come_later_once() -> None:
    watcher, error = CancellationWatcher(cast("SyncPrefectClient", None)), RunInterruptedError("stopped")
    told: list[tuple[str, BaseException]] = []
    with watcher.watching(uuid4(), lambda why: told.append(("early", why))):
        watcher.stop_all(error)
        with watcher.watching(uuid4(), lambda why: told.append(("late", why))):
            watcher.stop_all(error)
    await asyncio.sleep(0)

    assert [("early", error), ("late", error)] == told
