"""The house of a backfill: what its runs share in one process, and the surroundings that it gives to each of them."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

from prefect import get_run_logger
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.runtime import flow_run

from engine.definitions.effort import Level
from engine.domain.progress import Event, KeptCounted, LoggedProgress, Progress
from engine.errors import InputError, ModelBusyError, SharedBudgetError
from engine.gateway.budget import Budget
from engine.gateway.rate_limit import RateLimiter
from engine.gateway.shared import Shared, share
from engine.run.backfill_targets import Passed, Selection, pass_over
from engine.run.job import open_gateway, open_voting_judge
from engine.settings import Settings
from engine.system.worker_process import WorkerProcess, open_worker_process
from expectations.checking import warm_up
from flows.runs.cancellation import CancellationWatcher
from flows.runs.lease import Lease, Logger, hold_shared_lease
from flows.runtime.credentials import add_keys
from flows.runtime.rate_limiter import open_rate_limiter
from flows.runtime.resources import Models
from flows.runtime.steps import call_plainly
from tasks.prune_replies import drop_unused

SPARE_THREADS = 16
DROP_SECONDS = 600.0


@dataclass(slots=True)
class RunSnapshot:
    """What is seen of a run from outside while it goes on. ``kept`` and ``wanted`` are over all traits and poles.

    ``holds`` is whether it has its model's lease, or had it: from then on it is told by its lease when it must stop.
    ``turned_away`` says that another run has the lease, ``passed`` that such a one has left nothing to do.
    """

    kept: int | None = None
    wanted: int | None = None
    cost_usd: float | None = None
    holds: bool = False
    turned_away: bool = False
    passed: Passed | None = None


class Occasion:
    """Comes at once, and then no more often than every so many seconds."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._next = 0.0

    def comes(self) -> bool:
        """Whether it is there; whoever asks next is told that it is not."""
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + self._seconds
        return True


@dataclass(frozen=True, slots=True)
class House:
    """One client of Prefect, one lookout, one place in the line for shared rates, the servers, the paces, the budget.

    ``worker`` is the process beside this one that does what would hold up all runs.
    """

    client: SyncPrefectClient
    watcher: CancellationWatcher
    shared: Shared
    rate_limiter: RateLimiter
    worker: WorkerProcess
    logger: Logger
    find_passed: Callable[[str], Passed | None]
    seen: dict[str, RunSnapshot] = field(default_factory=dict)
    _keys: dict[str, Settings] = field(default_factory=dict)
    _dropping: Occasion = field(default_factory=lambda: Occasion(DROP_SECONDS))
    _asking: asyncio.Lock = field(default_factory=asyncio.Lock)

    def pass_over(self, handle: str) -> Passed | None:
        """Why a model is passed over. One whose definition is wrong is not: its run says what is wrong."""
        try:
            return self.find_passed(handle)
        except InputError:
            return None

    async def add_keys(self, settings: Settings, level: Level) -> Settings:
        """As ``flows.runtime.credentials.add_keys``, asked once for all runs of one pair of models."""
        pair = f"{level.synth_model}\0{level.judge_model}"
        async with self._asking:
            if pair not in self._keys:
                self._keys[pair] = await add_keys(settings, level, self.logger)
            return self._keys[pair]

    async def drop_unused(self, settings: Settings, plan_ids: Sequence[str]) -> None:
        """Drops kept replies for all runs, once in a while: it looks at the plans of every model."""
        if self._dropping.comes():
            await asyncio.to_thread(drop_unused, settings, plan_ids, datetime.now(UTC), self.logger)


@asynccontextmanager
async def open_house(
    settings: Settings, selection: Selection, runs_at_once: int, shared_budget: Budget | None, logger: Logger
) -> AsyncIterator[House]:
    """The house, as long as the block runs.

    Args:
        budget: what all its runs may spend together; None where nothing bounds it.
    """
    # Each run may wait a minute for its lease in a thread, and must keep no other from giving its own back.
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(2 * runs_at_once + SPARE_THREADS))
    find_passed = partial(pass_over, settings, selection)
    with get_client(sync_client=True) as client, CancellationWatcher(client).open() as watcher:
        async with (
            open_worker_process(logger.warning, warm_up) as worker,
            open_rate_limiter(settings, logger, yields=True) as rate_limiter,
            share(
                settings.concurrency * runs_at_once, settings.patience_seconds, shared_budget, logger.warning
            ) as shared,
        ):
            yield House(client, watcher, shared, rate_limiter, worker, logger, find_passed)


class Beside:
    """The surroundings of a run that is one of many in its process; its parent's page shows how far it is."""

    estimates = False

    def __init__(self, house: House) -> None:
        self.steps = call_plainly(house.worker)
        self._house = house
        self._seen = house.seen.setdefault(str(flow_run.get_id()), RunSnapshot())

    @asynccontextmanager
    async def hold_lease(self, handle: str) -> AsyncIterator[Lease]:
        """By the client and the lookout of the house."""
        house, seen = self._house, self._seen
        try:
            async with hold_shared_lease(handle, get_run_logger(), house.client, house.watcher) as lease:
                seen.holds = True
                # Another run, of another backfill perhaps, may have had it until now.
                seen.passed = await asyncio.to_thread(house.pass_over, handle)
                if seen.passed is not None:
                    raise ModelBusyError(seen.passed.reason, seen.passed.run_id)
                yield lease
        except ModelBusyError:
            seen.turned_away = True
            raise

    def publish_progress(self, listener: Progress | None) -> AbstractAsyncContextManager[Progress]:
        """Into what is seen of the run from outside."""
        return _enter(SnapshotProgress(self._seen, listener))

    @asynccontextmanager
    async def open_models(self, settings: Settings, level: Level, progress: Progress) -> AsyncIterator[Models]:
        """Through the servers, the paces and the turnstile of the house."""
        house = self._house
        settings = await house.add_keys(settings, level)
        async with (
            open_gateway(settings, level, progress, house.rate_limiter, house.shared) as gateway,
            open_voting_judge(
                settings, level, progress, gateway.budget, house.rate_limiter, house.shared
            ) as voting_judge,
        ):
            try:
                yield Models(gateway, voting_judge)
            finally:
                self._seen.cost_usd = gateway.budget.cost_usd

    async def drop_unused(self, settings: Settings, plan_ids: Sequence[str]) -> None:
        """With those of the other runs."""
        await self._house.drop_unused(settings, plan_ids)


class SnapshotProgress(LoggedProgress):
    """Logs the events, and notes what is kept."""

    def __init__(self, seen: RunSnapshot, listener: Progress | None) -> None:
        super().__init__()
        self._listener = listener
        self._seen = seen

    def report(self, event: Event) -> None:
        """Takes one event."""
        super().report(event)
        if self._listener is not None:
            self._listener.report(event)
        if isinstance(event, KeptCounted):
            self._seen.kept = sum(event.kept.values())
            self._seen.wanted = event.wanted * len(event.kept)


@asynccontextmanager
async def _enter(progress: Progress) -> AsyncIterator[Progress]:
    yield progress


def make_shared_budget(max_cost_usd: float | None, spent_usd: float) -> Budget | None:
    """What a backfill may spend, of which an earlier start of the same run has spent some already."""
    if max_cost_usd is None:
        return None
    shared_budget = Budget(max_cost_usd, partial(_refuse, max_cost_usd))
    shared_budget.spend(spent_usd)
    return shared_budget


def _refuse(max_cost_usd: float, bound_usd: float) -> SharedBudgetError:
    return SharedBudgetError(
        f"The backfill's limit of ${max_cost_usd:g} is reached: what is left is less than the ${bound_usd:.4f} that "
        "the next call could cost. Start it again with another max_cost_usd: it does only what is left, and the "
        "replies are kept and not paid twice"
    )
