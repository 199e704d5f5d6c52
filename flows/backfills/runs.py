"""The child runs of a backfill, which run in the parent's process and show on its page, and their shared resources."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, suppress
from copy import copy
from dataclasses import asdict, dataclass, field, replace
from typing import Any, cast
from uuid import UUID

import httpx
from prefect import Flow, task
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import FlowRunCreate, StateCreate
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.exceptions import ObjectNotFound, Pause, PrefectException
from prefect.flow_engine import run_flow_async
from prefect.runtime import flow_run
from prefect.states import Cancelled, Completed, Pending, Running

from engine.backfills.targets import BackfillRequest, examine
from engine.domain.verdict import RunResult
from engine.errors import SharedBudgetError
from engine.llm.batches.outbox import BatchRun, Outbox
from engine.llm.gateway.budget import Budget
from engine.llm.gateway.model_gateway import SharedModels
from engine.llm.replies.changes import SharedLimit
from engine.settings import SQLITE, Settings
from engine.system.concurrency import holding
from engine.system.worker_process import WorkerProcess
from engine.text.formatting import count_noun, format_cost
from flows.observability.logs import Logger
from flows.run.labels import AGAIN, PART, name_tag
from flows.run.resources import SHARED, RunResources, open_run_resources
from flows.run.worker import WORKER, prepare_worker

STOPPED = f"The backfill was stopped. {AGAIN}"
SPARE_THREADS = 16


def find_awaited(settings: Settings, request: BackfillRequest) -> dict[str, BatchRun]:
    """Return the runs, by handle, that already wait for a batch with the samples of this backfill.

    Raises:
        StoreError: the outbox cannot be read.
    """
    with Outbox(settings.replies_place) as outbox:
        runs = outbox.find_runs()
    return {run.handle: run for run in runs if run.params == asdict(request.ask_for(run.handle))}


@dataclass(frozen=True, slots=True)
class ChildRuns:
    """The child runs of one flow run, all under one task run: a task run for each would double the cost in Prefect.

    Prefect's own subflows are not used: a restarted parent would take its first child for the first child of the
    previous start, even if that is of another model.
    """

    _client: PrefectClient
    _flow: Flow[..., Any]
    _flow_id: UUID
    task_run_id: UUID
    _creating: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def create(self, handle: str, request: BackfillRequest) -> FlowRun:
        """Create a pending run of a model, so that its id is known before it begins.

        Runs are created one at a time: a Prefect server on SQLite answers 503 to most requests that arrive together,
        and Prefect's client repeats each after 2 s or more.
        """
        run = FlowRunCreate(
            flow_id=self._flow_id,
            name=f"{handle} {request.synth_type}",
            parameters=asdict(request.ask_for(handle)),
            state=StateCreate(type=StateType.PENDING),
            tags=[name_tag(handle), "backfill"],
            parent_task_run_id=self.task_run_id,
        )
        body = run.model_dump(mode="json", exclude_unset=True)
        async with self._creating:
            # Prefect's own method would request the flow before each run.
            answer = await self._client.request("POST", "/flow_runs/", json=body)
        return FlowRun.model_validate(answer.json())

    async def resume(self, run_id: str) -> FlowRun | None:
        """Return a run that waits for a batch, set to pending; None if it is no longer suspended."""
        with suppress(ObjectNotFound):
            run = await self._client.read_flow_run(UUID(run_id))
            if run.state is not None and run.state.is_paused():
                await self._client.set_flow_run_state(run.id, Pending(), force=True)
                return run
        return None

    async def run(self, run: FlowRun) -> RunResult | Exception | State[Any]:
        """Run a child to its end; return its result or error; its state if it crashed or waits."""
        try:
            state = await run_flow_async(self._flow, flow_run=run, parameters=run.parameters, return_type="state")
        except Pause as paused:
            # The exception always carries the suspended state.
            return cast("State[Any]", paused.state)
        except asyncio.CancelledError:
            # The parent's process ends; Prefect would report a crash.
            await self._client.set_flow_run_state(run.id, Cancelled(message=STOPPED), force=True)
            raise
        assert isinstance(state, State)
        if state.is_crashed():
            return state
        result: RunResult | Exception = await state.aresult(raise_on_failure=False)
        return result


@asynccontextmanager
async def open_children(client: PrefectClient, flow: Flow[..., Any], count: int) -> AsyncIterator[ChildRuns]:
    """Open child runs under the current flow run, for a ``with`` block that begins without any."""
    parent_id, attempt = UUID(str(flow_run.get_id())), flow_run.get_run_count()
    name = count_noun(count, "model")
    task_run = await client.create_task_run(_models, parent_id, f"models-{attempt}", name=name, state=Running())
    # Child runs are created with their names; Prefect would set each name once more.
    named = copy(flow)
    named.flow_run_name = None
    try:
        yield ChildRuns(client, named, await client.create_flow(flow), task_run.id)
    finally:
        # An unavailable server must not fail the backfill.
        with suppress(httpx.HTTPError, PrefectException):
            await client.set_task_run_state(task_run.id, Completed(), force=True)


@asynccontextmanager
async def open_backfill_resources(
    settings: Settings, request: BackfillRequest, budget: Budget | None, logger: Logger
) -> AsyncIterator[RunResources]:
    """Open, for a ``with`` block, what all runs of the backfill share.

    Args:
        budget: the cost limit of all runs together; None for no limit.
    """
    # Each run may wait a minute for its lease in a thread; others must still be able to release theirs.
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(2 * request.models_at_once + SPARE_THREADS))
    calls_at_once = settings.concurrency * request.models_at_once
    with ExitStack() as stack:
        run_in_worker = WORKER.get() or stack.enter_context(WorkerProcess(logger.warning, prepare_worker)).run
        shared = stack.enter_context(SharedModels(calls_at_once, settings.patience_seconds, budget, logger.warning))
        async with open_run_resources(settings, logger, run_in_worker) as base:
            resources = replace(
                base, shared=shared, find_skip_reason=lambda handle: examine(settings, request, handle).skip_reason
            )
            with holding(SHARED, resources):
                yield resources


def make_shared_budget(
    settings: Settings, max_cost_usd: float | None, spent_usd: float, waits: bool = False
) -> Budget | None:
    """Return the budget of a backfill; an earlier start of the same run has spent ``spent_usd`` of it.

    If all machines keep their replies in one database, that database keeps the limit of a backfill and all its parts.

    Args:
        waits: whether calls wait for a batch. The database then keeps the limit, since any process may resume them.
    """
    if max_cost_usd is None:
        return None
    whole = flow_run.get_parent_flow_run_id() if PART in flow_run.get_tags() else flow_run.get_id()
    is_file = settings.replies_place.get_secret_value().startswith(SQLITE)
    limit = SharedLimit(f"backfill {whole}", max_cost_usd) if waits or not is_file else None

    def refuse(ceiling_usd: float) -> SharedBudgetError:
        return SharedBudgetError(
            f"The backfill's limit of {format_cost(max_cost_usd)} is reached: what is left is less than the "
            f"{format_cost(ceiling_usd)} that the next call could cost. The replies are kept and not paid for again"
        )

    budget = Budget(max_cost_usd, refuse, limit)
    budget.spend(spent_usd)
    return budget


@task(name="models")
def _models() -> None:
    """The task of the task run over the child runs; never called."""
