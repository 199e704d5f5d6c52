"""What becomes of queued parts: of those that workers begin, that nobody begins, and whose worker dies."""

import asyncio
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID, uuid4

import httpx
import pytest
from fakes.waiting import wait_meanwhile
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.objects import FlowRun, State
from prefect.client.schemas.responses import SetStateStatus
from prefect.states import Cancelled, Completed, Crashed, Running, Scheduled

from engine.errors import RunInterruptedError, SharedBudgetError
from engine.gateway.budget import Budget
from engine.replies.changes import SharedLimit
from engine.run.backfill_targets import BackfillRequest
from engine.settings import Settings
from engine.store.backfill_ledger import Ledger, ModelRow, ModelState, write_ledger
from flows.backfills import parts
from flows.backfills.parts import MAX_TRIES, PartDispatcher
from flows.backfills.resources import make_shared_budget
from flows.backfills.worker import BackfillWorker

HANDLES = ("sheds.one", "sheds.two", "sheds.three", "sheds.four")
REQUEST = BackfillRequest(HANDLES, None, None, False, "from_traits", "low", False, frozenset())
RUN_ID = uuid4()
LOGGER = logging.getLogger("tests.parts")
LOOK_SECONDS = 0.01


class Server:
    """Prefect's server and its workers, which do with the queued parts what a test tells them to."""

    def __init__(self) -> None:
        self.runs: dict[UUID, FlowRun] = {}
        self.taken_back: list[str] = []
        self.made = self.looks = 0
        # Whether it tells of no run what has become of it.
        self.is_blind = False
        self.is_away = False
        self._by_key: dict[str, UUID] = {}

    def find(self, *handles: str) -> FlowRun:
        """The newest run that has a part."""
        return [run for run in self.runs.values() if tuple(run.parameters["handles"]) == handles][-1]

    def list_queued(self) -> list[str]:
        """The handles of all parts, in the order in which they were queued."""
        return [handle for run in self.runs.values() for handle in run.parameters["handles"]]

    async def read_deployment_by_name(self, _: str) -> SimpleNamespace:
        return SimpleNamespace(id=uuid4())

    async def create_flow_run_from_deployment(
        self, _: UUID, parameters: dict[str, Any], idempotency_key: str, **__: object
    ) -> FlowRun:
        run = FlowRun(flow_id=uuid4(), state=Scheduled(), parameters=parameters)
        run_id = self._by_key.setdefault(idempotency_key, run.id)
        self.made += 1
        return self.runs.setdefault(run_id, run)

    async def read_flow_runs(self, flow_run_filter: FlowRunFilter, offset: int, **_: object) -> list[FlowRun]:
        self.looks += 1
        if self.is_away:
            raise httpx.ConnectError("All connection attempts failed")
        wanted = flow_run_filter.state.type if flow_run_filter.state else None
        assert wanted is not None
        ids = self.runs if flow_run_filter.id is None else flow_run_filter.id.any_ or ()
        found = [run for run_id, run in self.runs.items() if run_id in ids and run.state is not None]
        any_, not_any = wanted.any_, wanted.not_any_ or ()
        types = {run.id: run.state.type for run in found if run.state}
        found = [run for run in found if (not any_ or types[run.id] in any_) and types[run.id] not in not_any]
        # As they are now: what becomes of them meanwhile, the next answer tells.
        return [] if self.is_blind else [run.model_copy() for run in found[offset:]]

    async def set_flow_run_state(self, run_id: UUID, state: State[Any]) -> SimpleNamespace:
        run = self.runs[run_id]
        assert run.state is not None
        if state.is_pending() and not run.state.is_scheduled():
            return SimpleNamespace(status=SetStateStatus.ABORT)
        if state.is_cancelling():
            # What has not begun has nothing to stop, and what has does so at once.
            state = Cancelled(message=state.message)
        elif state.is_cancelled():
            self.taken_back += run.parameters["handles"]
        run.state = state
        return SimpleNamespace(status=SetStateStatus.ACCEPT)


class Worker:
    """The process that has queued the parts: works on one at a time, once it may."""

    def __init__(self, ledger: Ledger) -> None:
        self.stopped: BaseException | None = None
        self.may_work = asyncio.Event()
        self.done: list[str] = []
        self._ledger = ledger

    async def filter_unfinished(self, rows: Sequence[ModelRow]) -> list[ModelRow]:
        return list(rows)

    async def work(self, rows: Sequence[ModelRow], _: int) -> None:
        await self.may_work.wait()
        for row in rows:
            if self.stopped is None:
                self._ledger.update(row.handle, state="attached")
                self.done.append(row.handle)


class Site:
    """A backfill of four models in parts of one."""

    def __init__(self, folder: Path, max_usd: float | None = None, limit: SharedLimit | None = None) -> None:
        self.ledger = Ledger(ModelRow(handle) for handle in HANDLES)
        self.server, self.worker = Server(), Worker(self.ledger)
        self.budget = None if max_usd is None else Budget(max_usd, lambda _: SharedBudgetError("spent"), limit)
        self._folder = str(folder)

    def start(self) -> "asyncio.Task[None]":
        server, worker = cast("PrefectClient", self.server), cast("BackfillWorker", self.worker)
        dispatcher = PartDispatcher(server, self._folder, worker, self.ledger, uuid4(), self.budget, LOGGER)
        return asyncio.create_task(dispatcher.work(REQUEST, 1, 1))

    async def queue(self) -> "asyncio.Task[None]":
        """Starts it, and waits until all parts but one are queued."""
        working = self.start()
        await self.look(made=3)
        return working

    def end(
        self, *handles: str, state: State[Any] | None = None, row: ModelState = "attached", usd: float | None = None
    ) -> None:
        """Lets workers end the newest parts of these models: their ledgers, and their states."""
        for run in map(self.server.find, handles):
            ended = state or Completed()
            rows = [ModelRow(handle, state=row) for handle in run.parameters["handles"]]
            write_ledger(self._folder, str(run.id), Ledger(rows, usd, ended=not ended.is_crashed()), {})
            run.state, run.run_count = ended, 1

    async def look(self, made: int = 0) -> None:
        """Until so many runs were made for parts, and they were looked at some times more."""
        await wait_meanwhile(lambda: self.server.made >= made)
        enough = self.server.looks + 3
        await wait_meanwhile(lambda: self.server.looks >= enough)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """No part is late, however long nobody has begun it."""
    this_run = SimpleNamespace(get_id=lambda: str(RUN_ID), get_run_count=lambda: 1)
    for name, value in {"flow_run": this_run, "CHECK_SECONDS": LOOK_SECONDS, "UNBEGUN_SECONDS": math.inf}.items():
        monkeypatch.setattr(parts, name, value)
    return Site(tmp_path)


@pytest.fixture
def be_late(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Makes all parts late that nobody has begun."""
    return lambda: monkeypatch.setattr(parts, "UNBEGUN_SECONDS", 0.0)


@pytest.mark.parametrize("works_here", [True, False])
async def test_part_waits_for_a_worker_unless_nothing_is_to_do_here(
    site: Site, works_here: bool, be_late: Callable[[], None]
) -> None:
    working = await site.queue()
    site.server.find(HANDLES[0]).state = Running()
    if not works_here:
        site.worker.may_work.set()
        await wait_meanwhile(lambda: site.worker.done)
    await site.look()
    too_soon = list(site.server.taken_back)
    be_late()
    if not works_here:
        await wait_meanwhile(lambda: len(site.worker.done) == 3)
    await site.look()
    taken_back = list(site.server.taken_back)
    site.worker.may_work.set()
    site.end(HANDLES[0])
    await working

    assert [] == too_soon
    # The last that was queued comes first: a worker that gets free takes the first.
    assert ([] if works_here else [HANDLES[2], HANDLES[1]]) == taken_back
    assert HANDLES[0] not in site.worker.done
    assert {"attached": len(HANDLES)} == site.ledger.count()


async def test_part_that_dies_is_queued_again_so_often_and_no_more(site: Site) -> None:
    site.worker.may_work.set()
    working = await site.queue()
    for count in range(1, MAX_TRIES + 1):
        site.end(HANDLES[0], state=Crashed(), row="runs")
        await site.look(made=3 + min(count, MAX_TRIES - 1))
    site.end(*HANDLES[1:3])
    await working
    [failed] = site.ledger.list_in("failed")

    assert [*HANDLES[:3], *[HANDLES[0]] * (MAX_TRIES - 1)] == site.server.list_queued()
    assert (HANDLES[0], "The process that worked on it died 3 times") == (failed.handle, failed.note)
    assert {"attached": 3, "failed": 1} == site.ledger.count()


async def test_second_start_takes_over_the_parts_of_the_first(site: Site, be_late: Callable[[], None]) -> None:
    first = await site.queue()
    first.cancel()
    await asyncio.wait({first})
    site.server.find(HANDLES[0]).state = Running()
    site.worker.may_work.set()
    be_late()
    second = site.start()
    await wait_meanwhile(lambda: len(site.worker.done) == 3)
    site.end(HANDLES[0])
    await second

    assert list(HANDLES[:3]) == site.server.list_queued()
    assert HANDLES[0] not in site.worker.done
    assert {"attached": len(HANDLES)} == site.ledger.count()


async def test_cancel_ends_all_parts_and_counts_nothing_for_those_that_never_began(tmp_path: Path, site: Site) -> None:
    site = Site(tmp_path, max_usd=8.0)
    working = await site.queue()
    begun = site.server.find(HANDLES[0])
    begun.state, begun.run_count = Running(), 1
    site.worker.stopped = RunInterruptedError("The run was cancelled")
    site.worker.may_work.set()
    await working

    assert {"CANCELLED"} == {run.state.type.value for run in site.server.runs.values() if run.state}
    assert list(HANDLES[:3]) == [row.handle for row in site.ledger.list_in("cancelled")]
    # The one that had begun left no ledger: its whole share may be spent.
    assert site.budget is not None
    assert 2.0 == site.budget.spent_usd
    assert [] == site.worker.done


async def test_cancelled_backfill_does_not_wait_for_ever_for_a_server_that_is_away(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "STOP_SECONDS", 5 * LOOK_SECONDS)
    working = await site.queue()
    site.server.is_away = True
    site.worker.stopped = RunInterruptedError("The run was cancelled")
    site.worker.may_work.set()
    await asyncio.wait_for(working, 30)

    assert {"waits": 4} == site.ledger.count()


async def test_where_this_process_stops_begun_parts_are_waited_for_and_others_never_begin(site: Site) -> None:
    working = await site.queue()
    site.server.find(HANDLES[0]).state = Running()
    site.worker.stopped = SharedBudgetError("The limit is reached")
    site.worker.may_work.set()
    await site.look()
    over_too_soon = working.done()
    site.end(HANDLES[0])
    await working

    assert not over_too_soon
    assert {HANDLES[1], HANDLES[2]} == set(site.server.taken_back)
    assert {"attached": 1, "waits": 3} == site.ledger.count()


async def test_limit_is_divided_and_what_is_not_spent_comes_back(tmp_path: Path, site: Site) -> None:
    site = Site(tmp_path, max_usd=8.0)
    assert site.budget is not None
    working = await site.queue()
    given, left_usd = list_limits(site.server.runs), site.budget.left_usd
    site.end(HANDLES[0], usd=0.5)
    site.end(HANDLES[1], state=Crashed(), row="runs", usd=0.5)
    await site.look(made=4)
    again = site.server.find(HANDLES[1])
    site.end(*HANDLES[1:3], usd=0.25)
    site.worker.may_work.set()
    await working

    # All parts but the last are queued, and that is worked on here.
    assert [*HANDLES[:3], HANDLES[1]] == site.server.list_queued()
    assert [HANDLES[3]] == site.worker.done
    assert ([2.0, 2.0, 2.0], 2.0) == (given, left_usd)
    # Of one that died its whole share may be spent. What is left, 3.5, is for it and for the model here.
    assert 1.75 == again.parameters["max_cost_usd"]
    assert 0.5 + 2.0 + 0.25 + 0.25 == site.budget.spent_usd


async def test_limit_that_stands_in_the_database_is_every_parts_own(tmp_path: Path, site: Site) -> None:
    site = Site(tmp_path, max_usd=8.0, limit=SharedLimit("backfill", 8.0))
    assert site.budget is not None
    working = await site.queue()
    left_usd = site.budget.left_usd
    site.end(HANDLES[0], state=Crashed(), row="runs", usd=0.5)
    await site.look(made=4)
    site.end(*HANDLES[:3], usd=0.25)
    site.worker.may_work.set()
    await working

    assert ([8.0] * 4, 8.0) == (list_limits(site.server.runs), left_usd)
    # What its ledger has last said of the one that died.
    assert 0.5 + 3 * 0.25 == site.budget.spent_usd


@pytest.mark.parametrize(
    ("url", "is_shared"), [(None, False), ("sqlite:////tmp/replies.sqlite", False), ("postgresql://db/replies", True)]
)
def test_limit_of_all_parts_stands_in_a_servers_database_and_in_no_file(url: str | None, is_shared: bool) -> None:
    settings = Settings(replies_url=url)
    budget = make_shared_budget(settings, 8.0, 3.0)

    assert budget is not None
    assert (is_shared, 5.0) == (budget.limit is not None, budget.left_usd)
    assert make_shared_budget(settings, None, 3.0) is None


def list_limits(runs: Mapping[UUID, FlowRun]) -> list[float]:
    """What each part may spend, in USD."""
    return [run.parameters["max_cost_usd"] for run in runs.values()]
