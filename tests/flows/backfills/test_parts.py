"""What becomes of queued parts: of those that workers begin, that nobody begins, and whose worker dies."""

import asyncio
import logging
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
from flows.backfills import parts, runs
from flows.backfills.parts import PartDispatcher
from flows.backfills.runs import make_shared_budget
from flows.backfills.worker import BackfillWorker
from flows.run.labels import PART, STOPPED_AT_LIMIT

ONE, TWO, THREE, FOUR = HANDLES = ("sheds.one", "sheds.two", "sheds.three", "sheds.four")
REQUEST = BackfillRequest(HANDLES, effort="low")
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
        ids = self.runs if flow_run_filter.id is None else flow_run_filter.id.any_ or ()
        # As they are now: what becomes of them meanwhile, the next answer tells.
        return [run.model_copy() for run_id, run in self.runs.items() if run_id in ids][offset:]

    async def set_flow_run_state(self, run_id: UUID, state: State[Any]) -> SimpleNamespace:
        run = self.runs[run_id]
        assert run.state is not None
        if state.is_pending() and not run.state.is_scheduled():
            return SimpleNamespace(status=SetStateStatus.ABORT)
        if state.is_cancelled():
            self.taken_back += run.parameters["handles"]
        run.state = state
        return SimpleNamespace(status=SetStateStatus.ACCEPT)


class Worker:
    """The process that has queued the parts: works on one at a time, once it may."""

    def __init__(self, ledger: Ledger) -> None:
        self.stopped: BaseException | None = None
        self.parts_usd = 0.0
        self.may_work = asyncio.Event()
        self.done: list[str] = []
        self._ledger = ledger

    async def filter_unfinished(self, rows: Sequence[ModelRow]) -> list[ModelRow]:
        return [row for row in rows if row.state == "waits"]

    async def work(self, rows: Sequence[ModelRow]) -> None:
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
        self.starts = 0
        self._budget: Budget | None = None
        self._folder = str(folder)

    def bound(self, max_usd: float, limit: SharedLimit | None = None) -> Budget:
        """Bounds what all models may cost together."""
        self._budget = Budget(max_usd, lambda _: SharedBudgetError("spent"), limit)
        return self._budget

    def start(self) -> "asyncio.Task[None]":
        self.starts += 1
        server, worker = cast("PrefectClient", self.server), cast("BackfillWorker", self.worker)
        logger = logging.getLogger("tests.parts")
        dispatcher = PartDispatcher(server, self._folder, worker, self.ledger, uuid4(), self._budget, logger)
        return asyncio.create_task(dispatcher.work(REQUEST, 1))

    async def queue(self) -> "asyncio.Task[None]":
        """Starts it, and waits until all parts are queued and the last is worked on here."""
        working = self.start()
        await self.look(made=4)
        return working

    def begin(self, handle: str) -> None:
        """Lets a worker begin a part."""
        run = self.server.find(handle)
        run.state, run.run_count = Running(), 1

    def end(self, *handles: str, usd: float | None = None) -> None:
        """Lets workers end the newest parts of these models: their ledgers, and their states."""
        for handle in handles:
            self._end(handle, Completed(), "attached", usd)

    def spend(self, handle: str, usd: float, by_person: bool = False) -> None:
        """Lets a worker end the newest part of a model, which a person may have cancelled, at the part's limit."""
        self._end(handle, Cancelled(name=STOPPED_AT_LIMIT), "cancelled", usd, at_limit=not by_person)

    def crash(self, handle: str, usd: float | None = None) -> None:
        self._end(handle, Crashed(), "runs", usd)

    def _end(self, handle: str, state: State[Any], row: ModelState, usd: float | None, at_limit: bool = False) -> None:
        run = self.server.find(handle)
        written = ModelRow(handle, row, at_limit=at_limit)
        write_ledger(self._folder, str(run.id), Ledger([written], usd, ended=not state.is_crashed()))
        run.state, run.run_count = state, 1

    async def look(self, made: int = 0) -> None:
        """Until so many runs were made for parts, and they were looked at some times more."""
        await wait_meanwhile(lambda: self.server.made >= made)
        enough = self.server.looks + 3
        await wait_meanwhile(lambda: self.server.looks >= enough)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    run_id, made = str(uuid4()), Site(tmp_path)
    this_run = SimpleNamespace(get_id=lambda: run_id, get_run_count=lambda: made.starts)
    monkeypatch.setattr(parts, "flow_run", this_run)
    monkeypatch.setattr(parts, "CHECK_SECONDS", LOOK_SECONDS)
    return made


async def test_parts_that_nobody_begins_are_done_here_the_last_first(site: Site) -> None:
    working = await site.queue()
    site.begin(ONE)
    while_busy = list(site.server.taken_back)
    site.worker.may_work.set()
    await wait_meanwhile(lambda: len(site.worker.done) == 3)
    site.end(ONE)
    await working

    # A worker that gets free takes the first.
    assert ([FOUR], [FOUR, THREE, TWO]) == (while_busy, site.server.taken_back)
    assert [FOUR, THREE, TWO] == site.worker.done
    assert {"attached": 4} == site.ledger.count()


async def test_what_a_part_that_died_left_undone_is_done_here(site: Site) -> None:
    working = await site.queue()
    site.crash(ONE)
    site.end(TWO, THREE)
    site.worker.may_work.set()
    await working

    assert ([ONE, TWO, THREE, FOUR], [FOUR, ONE]) == (site.server.list_queued(), site.worker.done)
    assert {"attached": 4} == site.ledger.count()


async def test_what_a_part_left_when_it_had_spent_its_share_is_done_here(site: Site) -> None:
    site.bound(8.0)
    working = await site.queue()
    site.spend(ONE, usd=2.0)
    site.spend(TWO, usd=2.0, by_person=True)
    site.end(THREE, usd=0.5)
    site.worker.may_work.set()
    await working

    assert [FOUR, ONE] == site.worker.done
    assert [TWO] == [row.handle for row in site.ledger.list_in("cancelled")]


async def test_second_start_takes_over_the_parts_of_the_first_and_counts_what_others_spent(site: Site) -> None:
    site.bound(8.0)
    first = await site.queue()
    first.cancel()
    await asyncio.wait({first})
    site.begin(ONE)
    site.end(TWO, usd=1.5)
    budget = site.bound(8.0)
    site.ledger.update(TWO, state="skipped")
    site.worker.may_work.set()
    second = site.start()
    await wait_meanwhile(lambda: len(site.worker.done) == 2)
    site.end(ONE, usd=0.5)
    await second

    assert ONE not in site.worker.done
    assert {"attached": 3, "skipped": 1} == site.ledger.count()
    assert (2.0, 2.0) == (budget.spent_usd, site.worker.parts_usd)


async def test_cancel_takes_parts_out_of_the_queue_and_leaves_those_that_have_begun_to_see_it(site: Site) -> None:
    working = await site.queue()
    site.begin(ONE)
    site.worker.stop(RunInterruptedError("The run was cancelled"))
    await working

    assert {FOUR, TWO, THREE} == set(site.server.taken_back)
    assert ({"waits": 4}, []) == (site.ledger.count(), site.worker.done)


async def test_where_this_process_stops_begun_parts_are_waited_for_and_others_never_begin(site: Site) -> None:
    working = await site.queue()
    site.begin(ONE)
    site.worker.stop(SharedBudgetError("The limit is reached"))
    await site.look()
    over_too_soon = working.done()
    site.end(ONE)
    await working

    assert not over_too_soon
    assert {FOUR, TWO, THREE} == set(site.server.taken_back)
    assert {"attached": 1, "waits": 3} == site.ledger.count()


@pytest.mark.parametrize(
    ("limit", "share_usd", "lost_usd"),
    # Of one that died its whole share may be spent; in the database stands what is.
    [(None, 2.0, 2.0), (SharedLimit("backfill", 8.0), 8.0, 0.5)],
    ids=["divided", "in the database"],
)
async def test_limit_is_divided_and_what_is_not_spent_comes_back_unless_it_stands_in_the_database(
    site: Site, limit: SharedLimit | None, share_usd: float, lost_usd: float
) -> None:
    budget = site.bound(8.0, limit)
    working = await site.queue()
    # The share of the one that is worked on here is its own.
    given, left_usd = site.server.list_limits(), budget.left_usd
    site.end(ONE, usd=0.5)
    site.crash(TWO, usd=0.5)
    site.end(THREE, usd=0.25)
    site.worker.may_work.set()
    await working

    assert ([share_usd] * 4, share_usd) == (given, left_usd)
    assert [FOUR, TWO] == site.worker.done
    assert 0.5 + lost_usd + 0.25 == budget.spent_usd


@pytest.mark.parametrize(("tags", "whole"), [([], "own"), ([PART], "parent")])
def test_limit_of_all_parts_stands_in_a_servers_database_and_in_no_file(
    monkeypatch: pytest.MonkeyPatch, tags: list[str], whole: str
) -> None:
    ids = {"get_id": lambda: "own", "get_parent_flow_run_id": lambda: "parent", "get_tags": lambda: tags}
    monkeypatch.setattr(runs, "flow_run", SimpleNamespace(**ids))
    urls = (None, "sqlite:////tmp/replies.sqlite", "postgresql://db/replies")
    budgets = [make_shared_budget(Settings(replies_url=url), 8.0, 3.0) for url in urls]

    limits = [None, None, SharedLimit(f"backfill {whole}", 8.0)]
    assert [(limit, 5.0) for limit in limits] == [(budget.limit, budget.left_usd) for budget in budgets if budget]
    assert make_shared_budget(Settings(), None, 3.0) is None
