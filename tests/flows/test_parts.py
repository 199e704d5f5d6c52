"""A part whose run is still being made is nobody's to forget, however long Prefect's server takes."""

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import FlowRun, State
from prefect.states import Completed

from engine.ledger import Ledger, ModelRow, write_ledger
from engine.selection import Selection
from flows.crew import Crew
from flows.handing_out import HandingOut

HANDLES = ("sheds.one", "sheds.two", "sheds.three")
SELECTION = Selection(HANDLES, None, None, False, "from_traits", "low", False, frozenset())


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


class QuickCrew:
    """Attaches all that it is given once the server was asked for a run."""

    stopped = None

    def __init__(self, ledger: Ledger, server: SlowServer) -> None:
        self._ledger = ledger
        self._server = server

    async def sift(self, rows: Sequence[ModelRow]) -> list[ModelRow]:
        return list(rows)

    async def work(self, rows: Sequence[ModelRow], _: int) -> None:
        await self._server.asked.wait()
        for row in rows:
            self._ledger.note(row.handle, state="attached")


async def test_part_whose_run_is_made_slowly_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    this_run = SimpleNamespace(get_id=lambda: str(uuid4()), get_run_count=lambda: 1)
    monkeypatch.setattr("flows.handing_out.flow_run", this_run)
    ledger, server = Ledger(ModelRow(handle) for handle in HANDLES), SlowServer(str(tmp_path))
    crew = cast("Crew", QuickCrew(ledger, server))
    client = cast("PrefectClient", server)
    parts = HandingOut(client, str(tmp_path), crew, ledger, uuid4(), None, logging.getLogger("tests.parts"))
    working = asyncio.create_task(parts.work(SELECTION, 1, 1))
    await asyncio.wait({working}, timeout=3.0)
    over_too_soon = working.done()
    server.may_make.set()
    await working

    assert not over_too_soon
    assert {"attached": len(HANDLES)} == ledger.count()
