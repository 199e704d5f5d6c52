"""Open the resources of a run in its process, for one run alone or shared by the runs of a backfill."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, ParamSpec, TypeVar
from uuid import UUID

from prefect import Task, get_run_logger
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.runtime import flow_run
from prefect.utilities.annotations import quote

from engine.definitions.effort import Level
from engine.domain.progress import Noticed, Progress
from engine.domain.verdict import SkipReason
from engine.errors import ModelBusyError
from engine.estimate.forecast import RunForecast
from engine.estimate.speeds import keep_speeds
from engine.llm.gateway.metered import RateLimiter
from engine.llm.gateway.model_gateway import SharedModels
from engine.run.gateways import LanguageModels, open_models
from engine.settings import Settings
from engine.system.worker_process import Executor
from flows.observability.logs import Logger
from flows.run.cancellation import CancellationWatcher
from flows.run.lease.lease import Lease
from flows.run.page.artifacts import PublishedProgress, show_progress
from flows.run.rate_limiter import open_rate_limiter
from flows.run.worker import WORKER, run_without_worker

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class RunResources:
    """The resources of a run in its process; other runs may share them.

    Args:
        run_in_worker: runs work that holds Python's lock for long: embedding, the gate, a choice among many.
        shared: embedded servers, throttles and the budget of all runs; None if a run has its own. Then its steps are
            tasks of its page, and its progress is an artifact.
        find_skip_reason: returns why nothing is left to do for a model; called once its lease is held; it may block.
    """

    settings: Settings
    logger: Logger
    client: SyncPrefectClient
    watcher: CancellationWatcher
    rate_limiter: RateLimiter
    run_in_worker: Executor
    shared: SharedModels | None = None
    find_skip_reason: Callable[[str], SkipReason | None] = lambda _: None
    forecasts: dict[str, RunForecast] = field(default_factory=dict)

    def call(self, step: Task[Parameters, Result], *args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        """Call a step as a task, which is a bar on the run page, or as a plain function.

        A task run costs Prefect's server 25 to 45 ms (docs/decisions/000-measured.md), so a backfill makes no tasks.
        """
        if self.shared is not None:
            return step.fn(*args, **kwargs)
        # Without quotes, Prefect would search all cells and texts for futures.
        quoted: Any = [quote(argument) for argument in args]
        return step(*quoted, **kwargs)

    @property
    def forecast(self) -> RunForecast:
        """Return the current flow run's forecast. A backfill registers one for each of its runs, to read it."""
        return self.forecasts.get(str(flow_run.get_id())) or RunForecast()

    @asynccontextmanager
    async def hold_lease(self, handle: str, waits: bool = False) -> AsyncIterator[Lease]:
        """Hold the model's lease during the block, so that no other flow run works on the model.

        Args:
            waits: wait until another run ends.

        Raises:
            ModelBusyError: another run works on the model, or still may after ``PATIENCE_SECONDS``, or left no work.
            RunInterruptedError: this run is being cancelled.
            Abort: Prefect says that this run is over, so its process must change nothing more.
        """
        lease = Lease(self.client, handle, UUID(str(flow_run.get_id())), get_run_logger(), waits=waits)
        with lease.watching(self.watcher):
            try:
                await asyncio.to_thread(lease.acquire, flow_run.get_tags())
                if skipped := await asyncio.to_thread(self.find_skip_reason, handle):
                    raise ModelBusyError(skipped.reason, skipped.run_id)
                yield lease
            finally:
                lease.give_up()
                await asyncio.shield(asyncio.to_thread(lease.release))

    @asynccontextmanager
    async def publish_progress(self) -> AsyncIterator[Progress]:
        """Yield the progress that receives the run's events during the block."""
        forecast = self.forecast
        async with show_progress(forecast) if self.shared is None else nullcontext():
            try:
                yield PublishedProgress(forecast)
            finally:
                keep_speeds(self.settings, forecast.took)

    @asynccontextmanager
    async def open_models(self, level: Level, progress: Progress) -> AsyncIterator[LanguageModels]:
        """Open the models that the run asks for the block. The run's own embedded servers end with the block.

        Raises:
            ProviderError: a model is not available.
        """
        settings, notice = self.settings, lambda text: progress.report(Noticed(text))
        unshared = SharedModels(settings.concurrency, settings.patience_seconds, notice=notice)
        with nullcontext(self.shared) if self.shared else unshared as shared:
            async with open_models(settings, level, progress, shared, self.rate_limiter) as models:
                try:
                    yield models
                finally:
                    self.forecast.cost_usd = models.gateway.budget.cost_usd


# The resources that the runs of a backfill share; None for a run alone in its process.
SHARED: ContextVar[RunResources | None] = ContextVar("shared", default=None)


def find_shared() -> RunResources | None:
    """Return the shared resources. A function, because ``serve`` pickles the flow, and a context variable cannot be."""
    return SHARED.get()


@asynccontextmanager
async def open_run_resources(
    settings: Settings, logger: Logger, run_in_worker: Executor | None = None
) -> AsyncIterator[RunResources]:
    """Open the resources for the block; ``run_in_worker`` is by default this process's own."""
    with get_client(sync_client=True) as client, CancellationWatcher(client).open() as watcher:
        async with open_rate_limiter(settings, logger) as rate_limiter:
            run_in_worker = run_in_worker or WORKER.get() or run_without_worker
            yield RunResources(settings, logger, client, watcher, rate_limiter, run_in_worker)
