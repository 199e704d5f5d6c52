"""Parts that have to wait are not forgotten, and not taken from workers that are at work."""

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.objects import FlowRun, State
from prefect.states import Completed, Running, Scheduled

from engine.run.backfill_targets import BackfillRequest
from engine.store.backfill_ledger import Ledger, ModelRow, write_ledger
from flows.backfills.parts import PartDispatcher
from flows.backfills.worker import BackfillWorker

HANDLES = ("sheds.one", "sheds.two", "sheds.three", "sheds.four")
SELECTION = BackfillRequest(HANDLES, None, None, False, "from_traits", "low", False, frozenset())

THIS_RUN = SimpleNamespace(get_id=lambda: str(uuid4()), get_run_count=lambda: 1)
LOGGER = logging.getLogger("tests.parts")


class SlowServer:
    """Makes no run before it is told to; a run that it has made is one that has attached its models by then."""

    def __init__(self, samples_uri: str) -> None:
        self.may_make = asyncio.Event()
        self.asked = asyncio.Event()
        self._samples_uri = samples_uri
        self._made: list[FlowRun] = []

    async def read_deployment_by_name(self, _: str) -> SimpleNamespace:
        return SimpleNamespace(id=uuid4())

    async def create_flow_run_from_deployment(self, _: UUID, parameters: dict[str, Any], **__: object) -> FlowRun:
        self.asked.set()
        await self.may_make.wait()
        run = FlowRun(flow_id=uuid4(), state=Completed(), run_count=1)
        rows = [ModelRow(handle, state="attached") for handle in parameters["handles"]]
        write_ledger(self._samples_uri, str(run.id), Ledger(rows), {})
        self._made.append(run)
        return run

    async def read_flow_runs(self, **_: object) -> list[FlowRun]:
        return self._made

    async def set_flow_run_state(self, *_: object) -> State[Any]:
        raise AssertionError("nothing is to be ended")


class QuickWorker:
    """Attaches all that it is given once the server was asked for a run."""

    stopped = None

    def __init__(self, ledger: Ledger, server: SlowServer) -> None:
        self._ledger = ledger
        self._server = server

    async def filter_unfinished(self, rows: Sequence[ModelRow]) -> list[ModelRow]:
        return list(rows)

    async def work(self, rows: Sequence[ModelRow], _: int) -> None:
        await self._server.asked.wait()
        for row in rows:
            self._ledger.update(row.handle, state="attached")


class HeldWorker(QuickWorker):
    """Is at its work until it may end it."""

    def __init__(self, ledger: Ledger, may_end: asyncio.Event) -> None:
        self._ledger = ledger
        self._may_end = may_end

    async def work(self, rows: Sequence[ModelRow], _: int) -> None:
        await self._may_end.wait()
        for row in rows:
            self._ledger.update(row.handle, state="attached")


async def test_part_whose_run_is_made_slowly_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.backfills.parts.flow_run", THIS_RUN)
    ledger, server = Ledger(ModelRow(handle) for handle in HANDLES), SlowServer(str(tmp_path))
    worker = cast(BackfillWorker, QuickWorker(ledger, server))
    client = cast("PrefectClient", server)
    parts = PartDispatcher(client, str(tmp_path), worker, ledger, uuid4(), None, LOGGER)
    working = asyncio.create_task(parts.work(SELECTION, 1, 1))
    await asyncio.wait({working}, timeout=3.0)
    over_too_soon = working.done()
    server.may_make.set()
    await working

    assert not over_too_soon
    assert {"attached": len(HANDLES)} == ledger.count()


class BusyPool:
    """One worker that is at the first part that was handed out until it is told to go on; all others wait for it."""

    def __init__(self, samples_uri: str) -> None:
        self.may_go_on = asyncio.Event()
        self.taken_back: list[str] = []
        self._samples_uri = samples_uri
        self._made: dict[UUID, FlowRun] = {}
        self._handles: dict[UUID, list[str]] = {}

    async def read_deployment_by_name(self, _: str) -> SimpleNamespace:
        return SimpleNamespace(id=uuid4())

    async def create_flow_run_from_deployment(self, _: UUID, parameters: dict[str, Any], **__: object) -> FlowRun:
        run = FlowRun(flow_id=uuid4(), state=Scheduled() if self._made else Running(), run_count=int(not self._made))
        self._made[run.id], self._handles[run.id] = run, parameters["handles"]
        return run

    async def read_flow_runs(self, flow_run_filter: FlowRunFilter, **_: object) -> list[FlowRun]:
        if flow_run_filter.id is None:
            return []
        if self.may_go_on.is_set():
            for run in self._made.values():
                rows = [ModelRow(handle, state="attached") for handle in self._handles[run.id]]
                write_ledger(self._samples_uri, str(run.id), Ledger(rows), {})
                run.state = Completed()
        return [self._made[run_id] for run_id in flow_run_filter.id.any_ or ()]

    async def read_flow_run(self, run_id: UUID) -> FlowRun:
        return self._made[run_id]

    async def set_flow_run_state(self, run_id: UUID, _: State[Any]) -> None:
        self.taken_back += self._handles[run_id]


@pytest.mark.parametrize("works_here", [True, False])
async def test_part_waits_for_a_worker_that_is_at_work_unless_nothing_is_to_do_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, works_here: bool
) -> None:
    monkeypatch.setattr("flows.backfills.parts.flow_run", THIS_RUN)
    monkeypatch.setattr("flows.backfills.parts.CHECK_SECONDS", 0.01)
    monkeypatch.setattr("flows.backfills.parts.TAKE_BACK_SECONDS", 0.2)
    ledger, pool, may_end = Ledger(ModelRow(handle) for handle in HANDLES), BusyPool(str(tmp_path)), asyncio.Event()
    worker = HeldWorker(ledger, may_end)
    parts = PartDispatcher(
        cast("PrefectClient", pool), str(tmp_path), cast(BackfillWorker, worker), ledger, uuid4(), None, LOGGER
    )
    working = asyncio.create_task(parts.work(SELECTION, 1, 1))
    await asyncio.sleep(0.5)
    if not works_here:
        may_end.set()
    await asyncio.sleep(0.5)
    taken_back = list(pool.taken_back)
    may_end.set()
    pool.may_go_on.set()
    await working

    # The first is with the worker, and the last two are done here.
    assert ([] if works_here else [HANDLES[1]]) == taken_back
    assert {"attached": len(HANDLES)} == ledger.count()
