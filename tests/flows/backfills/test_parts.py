"""What becomes of queued parts: of those that workers begin, that nobody begins, and whose worker dies."""

import asyncio
import logging
import math
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
from fakes.waiting import wait_meanwhile
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.objects import FlowRun, State
from prefect.client.schemas.responses import SetStateStatus
from prefect.states import Cancelled, Completed, Crashed, Running, Scheduled

from engine.backfills.ledger import Ledger, ModelRow, ModelState, write_ledger
from engine.backfills.targets import BackfillRequest
from engine.errors import RunInterruptedError, SharedBudgetError
from engine.llm.gateway.budget import Budget
from engine.llm.replies.changes import SharedLimit
from engine.settings import Settings
from flows.backfills import parts, resources
from flows.backfills.parts import MAX_TRIES, PartDispatcher
from flows.backfills.resources import PART, make_shared_budget
from flows.backfills.worker import BackfillWorker

ONE, TWO, THREE, FOUR = HANDLES = ("sheds.one", "sheds.two", "sheds.three", "sheds.four")
REQUEST = BackfillRequest(HANDLES, None, None, False, "from_traits", "low", False, frozenset())
LOOK_SECONDS = 0.01


class Server:
    """Prefect's server and its workers, which do with the queued parts what a test tells them to."""

    def __init__(self) -> None:
        self.runs: dict[UUID, FlowRun] = {}
        self.taken_back: list[str] = []
        self.made = self.looks = 0
        self._by_key: dict[str, UUID] = {}

    def find(self, handle: str) -> FlowRun:
        """The newest run that has a model."""
        return [run for run in self.runs.values() if run.parameters["handles"] == [handle]][-1]

    def list_queued(self) -> list[str]:
        """The handles of all parts, in the order in which they were queued."""
        return [handle for run in self.runs.values() for handle in run.parameters["handles"]]

    def list_limits(self) -> list[float]:
        """What each part may spend, in USD."""
        return [run.parameters["max_cost_usd"] for run in self.runs.values()]

    async def read_deployment_by_name(self, _: str) -> SimpleNamespace:
        return SimpleNamespace(id=uuid4())

    async def create_flow_run_from_deployment(
        self, _: UUID, parameters: dict[str, Any], idempotency_key: str, **__: object
    ) -> FlowRun:
        run = FlowRun(flow_id=uuid4(), state=Scheduled(), parameters=parameters)
        self.made += 1
        return self.runs.setdefault(self._by_key.setdefault(idempotency_key, run.id), run)

    async def read_flow_runs(self, flow_run_filter: FlowRunFilter, offset: int, **_: object) -> list[FlowRun]:
        self.looks += 1
        wanted = flow_run_filter.state.type if flow_run_filter.state else None
        assert wanted is not None
        ids = self.runs if flow_run_filter.id is None else flow_run_filter.id.any_ or ()
        types = {run_id: run.state.type for run_id, run in self.runs.items() if run_id in ids and run.state}
        found = [
            # As it is now: what becomes of it meanwhile, the next answer tells.
            self.runs[run_id].model_copy()
            for run_id, kind in types.items()
            if (not wanted.any_ or kind in wanted.any_) and kind not in (wanted.not_any_ or ())
        ]
        return found[offset:]

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

    def stop(self, error: BaseException) -> None:
        self.stopped = error
        self.may_work.set()


class Site:
    """A backfill of four models in parts of one."""

    def __init__(self, folder: Path) -> None:
        self.ledger = Ledger(ModelRow(handle) for handle in HANDLES)
        self.server, self.worker = Server(), Worker(self.ledger)
        self._budget: Budget | None = None
        self._folder = str(folder)

    def bound(self, max_usd: float, limit: SharedLimit | None = None) -> Budget:
        """Bounds what all models may cost together."""
        self._budget = Budget(max_usd, lambda _: SharedBudgetError("spent"), limit)
        return self._budget

    def start(self) -> "asyncio.Task[None]":
        server, worker = cast("PrefectClient", self.server), cast("BackfillWorker", self.worker)
        logger = logging.getLogger("tests.parts")
        dispatcher = PartDispatcher(server, self._folder, worker, self.ledger, uuid4(), self._budget, logger)
        return asyncio.create_task(dispatcher.work(REQUEST, 1, 1))

    async def queue(self) -> "asyncio.Task[None]":
        """Starts it, and waits until all parts but one are queued."""
        working = self.start()
        await self.look(made=3)
        return working

    def begin(self, handle: str) -> None:
        """Lets a worker begin a part."""
        run = self.server.find(handle)
        run.state, run.run_count = Running(), 1

    def end(self, *handles: str, usd: float | None = None) -> None:
        """Lets workers end the newest parts of these models: their ledgers, and their states."""
        for handle in handles:
            self._end(handle, Completed(), "attached", usd)

    def crash(self, handle: str, usd: float | None = None) -> None:
        self._end(handle, Crashed(), "runs", usd)

    def _end(self, handle: str, state: State[Any], row: ModelState, usd: float | None) -> None:
        run = self.server.find(handle)
        write_ledger(self._folder, str(run.id), Ledger([ModelRow(handle, row)], usd, ended=state.is_completed()), {})
        run.state, run.run_count = state, 1

    async def look(self, made: int = 0) -> None:
        """Until so many runs were made for parts, and they were looked at some times more."""
        await wait_meanwhile(lambda: self.server.made >= made)
        enough = self.server.looks + 3
        await wait_meanwhile(lambda: self.server.looks >= enough)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """No part is late, however long nobody has begun it."""
    run_id = str(uuid4())
    this_run = SimpleNamespace(get_id=lambda: run_id, get_run_count=lambda: 1)
    for name, value in {"flow_run": this_run, "CHECK_SECONDS": LOOK_SECONDS, "UNBEGUN_SECONDS": math.inf}.items():
        monkeypatch.setattr(parts, name, value)
    return Site(tmp_path)


@pytest.mark.parametrize("works_here", [True, False])
async def test_part_waits_for_a_worker_unless_nothing_is_to_do_here(
    site: Site, works_here: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    working = await site.queue()
    site.begin(ONE)
    if not works_here:
        site.worker.may_work.set()
        await wait_meanwhile(lambda: site.worker.done)
    await site.look()
    too_soon = list(site.server.taken_back)
    monkeypatch.setattr(parts, "UNBEGUN_SECONDS", 0.0)
    await wait_meanwhile(lambda: works_here or len(site.worker.done) == 3)
    await site.look()
    taken_back = list(site.server.taken_back)
    site.worker.may_work.set()
    site.end(ONE)
    await working

    assert [] == too_soon
    # The last that was queued comes first: a worker that gets free takes the first.
    assert ([] if works_here else [THREE, TWO]) == taken_back
    assert ONE not in site.worker.done
    assert {"attached": 4} == site.ledger.count()


async def test_part_that_dies_is_queued_again_so_often_and_no_more(site: Site) -> None:
    site.worker.may_work.set()
    working = await site.queue()
    for count in range(1, MAX_TRIES + 1):
        site.crash(ONE)
        await site.look(made=3 + min(count, MAX_TRIES - 1))
    site.end(TWO, THREE)
    await working
    [failed] = site.ledger.list_in("failed")

    assert [ONE, TWO, THREE, *[ONE] * (MAX_TRIES - 1)] == site.server.list_queued()
    assert (ONE, "The process that worked on it died 3 times") == (failed.handle, failed.note)
    assert {"attached": 3, "failed": 1} == site.ledger.count()


async def test_second_start_takes_over_the_parts_of_the_first(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    first = await site.queue()
    first.cancel()
    await asyncio.wait({first})
    site.begin(ONE)
    site.worker.may_work.set()
    monkeypatch.setattr(parts, "UNBEGUN_SECONDS", 0.0)
    second = site.start()
    await wait_meanwhile(lambda: len(site.worker.done) == 3)
    site.end(ONE)
    await second

    assert [ONE, TWO, THREE] == site.server.list_queued()
    assert ONE not in site.worker.done
    assert {"attached": 4} == site.ledger.count()


async def test_cancel_ends_all_parts_and_counts_nothing_for_those_that_never_began(site: Site) -> None:
    budget = site.bound(8.0)
    working = await site.queue()
    site.begin(ONE)
    site.worker.stop(RunInterruptedError("The run was cancelled"))
    await working

    assert {"CANCELLED"} == {run.state.type.value for run in site.server.runs.values() if run.state}
    assert [ONE, TWO, THREE] == [row.handle for row in site.ledger.list_in("cancelled")]
    # The one that had begun left no ledger: its whole share may be spent.
    assert (2.0, []) == (budget.spent_usd, site.worker.done)


async def test_where_this_process_stops_begun_parts_are_waited_for_and_others_never_begin(site: Site) -> None:
    working = await site.queue()
    site.begin(ONE)
    site.worker.stop(SharedBudgetError("The limit is reached"))
    await site.look()
    over_too_soon = working.done()
    site.end(ONE)
    await working

    assert not over_too_soon
    assert {TWO, THREE} == set(site.server.taken_back)
    assert {"attached": 1, "waits": 3} == site.ledger.count()


@pytest.mark.parametrize(
    ("limit", "share_usd", "again_usd", "lost_usd"),
    [
        # Of one that died its whole share may be spent. What is left, 3.5, is for it and for the model here.
        (None, 2.0, 1.75, 2.0),
        # What its ledger has last said of the one that died.
        (SharedLimit("backfill", 8.0), 8.0, 8.0, 0.5),
    ],
    ids=["divided", "in the database"],
)
async def test_limit_is_divided_and_what_is_not_spent_comes_back_unless_it_stands_in_the_database(
    site: Site, limit: SharedLimit | None, share_usd: float, again_usd: float, lost_usd: float
) -> None:
    budget = site.bound(8.0, limit)
    working = await site.queue()
    given, left_usd = site.server.list_limits(), budget.left_usd
    site.end(ONE, usd=0.5)
    site.crash(TWO, usd=0.5)
    await site.look(made=4)
    site.end(TWO, THREE, usd=0.25)
    site.worker.may_work.set()
    await working

    # All parts but the last are queued, and that is worked on here.
    assert ([ONE, TWO, THREE, TWO], [FOUR]) == (site.server.list_queued(), site.worker.done)
    assert ([share_usd] * 3, share_usd) == (given, left_usd)
    assert [*given, again_usd] == site.server.list_limits()
    assert 0.5 + lost_usd + 0.25 + 0.25 == budget.spent_usd


@pytest.mark.parametrize(("tags", "whole"), [([], "own"), ([PART], "parent")])
def test_limit_of_all_parts_stands_in_a_servers_database_and_in_no_file(
    monkeypatch: pytest.MonkeyPatch, tags: list[str], whole: str
) -> None:
    ids = {"get_id": lambda: "own", "get_parent_flow_run_id": lambda: "parent", "get_tags": lambda: tags}
    monkeypatch.setattr(resources, "flow_run", SimpleNamespace(**ids))
    urls = (None, "sqlite:////tmp/replies.sqlite", "postgresql://db/replies")
    budgets = [make_shared_budget(Settings(replies_url=url), 8.0, 3.0) for url in urls]

    limits = [None, None, SharedLimit(f"backfill {whole}", 8.0)]
    assert [(limit, 5.0) for limit in limits] == [(budget.limit, budget.left_usd) for budget in budgets if budget]
    assert make_shared_budget(Settings(), None, 3.0) is None
