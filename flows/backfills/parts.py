"""Parts: a backfill hands its models out, in parts, to whichever workers are free, and does the rest itself.

A part is a backfill of its own over some handles, a run on the work pool: any worker takes it, and what a worker that
dies had not done goes to another part. The parent works as well, from the other end, and takes back what no worker has
begun: a pool without a free worker costs time and nothing else.
"""

import asyncio
import itertools
import math
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterId,
    FlowRunFilterParentFlowRunId,
    FlowRunFilterState,
    FlowRunFilterStateType,
    FlowRunFilterTags,
)
from prefect.client.schemas.objects import FlowRun, State
from prefect.exceptions import Abort, ObjectNotFound, PrefectException
from prefect.runtime import flow_run
from prefect.states import Cancelled, Cancelling

from engine.errors import OrchestratorError, RunInterruptedError, StoreError
from engine.gateway.budget import Budget
from engine.run.backfill_targets import BackfillRequest
from engine.store.backfill_ledger import Ledger, ModelRow, read_ledger
from engine.text.formatting import count_noun
from flows.backfills.worker import BackfillWorker
from flows.runs.lease import Logger
from flows.runs.lease_holders import OVER

DEPLOYMENT = "backfill/on-demand"
# A queue of its own: where runs that hand out filled the one of their parts, all would wait for ever.
QUEUE = "parts"
TAG = "part"
# As many as there may be workers; more would only wait at Prefect and not here.
MOST_OUT = 64
CHECK_SECONDS = 3.0
# A worker asks every 10 s if not told otherwise: what none has begun after two of these is done here.
TAKE_BACK_SECONDS = 20.0
MOST_TRIES = 3
STOP_SECONDS = 60.0
TAKEN_BACK = "No worker had begun it: its models are done by its parent"


@dataclass(slots=True)
class Part:
    """Some models, how often they were handed out, and how much their run may spend."""

    handles: tuple[str, ...]
    tries: int = 0
    number: int | None = None
    grant_usd: float | None = None
    handed_out_at: float = 0.0
    begun: bool = False


class PartDispatcher:
    """Hands out the parts of one backfill and takes in what becomes of them.

    Args:
        task_run_id: the task run that the parts' runs hang on.
        budget: what all models may cost together; None where nothing bounds it.
    """

    def __init__(
        self,
        client: PrefectClient,
        samples_uri: str,
        worker: BackfillWorker,
        ledger: Ledger,
        task_run_id: UUID,
        shared_budget: Budget | None,
        logger: Logger,
    ) -> None:
        self._client = client
        self._samples_uri = samples_uri
        self._worker = worker
        self._ledger = ledger
        self._parameters: Mapping[str, Any] = {}
        self._task_run_id = task_run_id
        self._shared_budget = shared_budget
        self._logger = logger
        self._waiting: deque[Part] = deque()
        # What is to be done here and not handed out again.
        self._home: deque[Part] = deque()
        # The one that Prefect is making a run for, and those that have theirs.
        self._leaving: Part | None = None
        self._out: dict[UUID, Part] = {}
        self._looked = asyncio.Event()
        # Whether this process works on a part, and when another was last seen to.
        self._works = False
        self._busy_at = -math.inf
        self._deployment_id: UUID | None = None
        self._numbers = itertools.count(1)

    async def work(self, request: BackfillRequest, part_size: int, models_at_once: int) -> None:
        """Works until every model is done, here or in a part.

        Raises:
            OrchestratorError: there is no deployment that parts could be runs of.
        """
        self._deployment_id = await self._find_deployment()
        self._parameters = _describe_part(request, models_at_once)
        await self._end_earlier()
        handles = [row.handle for row in await self._worker.filter_unfinished(self._ledger.rows)]
        self._waiting.extend(
            Part(tuple(handles[start : start + part_size])) for start in range(0, len(handles), part_size)
        )
        following = asyncio.create_task(self._follow())
        try:
            while (self._waiting or self._home or self._is_out) and self._worker.stopped is None:
                if (part := self._take()) is None:
                    await self._wait_for_look(following)
                else:
                    self._works = True
                    await self._worker.work(self._list_rows(part), models_at_once)
                    self._works = False
            self._waiting.clear()
            self._home.clear()
            await self._wait_for_rest(following)
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)

    @property
    def _is_out(self) -> bool:
        """Whether some part is with a worker, or about to be."""
        return self._leaving is not None or bool(self._out)

    async def _find_deployment(self) -> UUID:
        try:
            return (await self._client.read_deployment_by_name(DEPLOYMENT)).id
        except ObjectNotFound as error:
            raise OrchestratorError(
                f"Prefect's server has no deployment {DEPLOYMENT}, whose runs take parts. 'make deploy' makes it; "
                "without part_size one process does all"
            ) from error

    def _list_rows(self, part: Part) -> list[ModelRow]:
        return [row for row in self._ledger.list_in("waits") if row.handle in set(part.handles)]

    def _take(self) -> Part | None:
        """A part to be done here: one that has come back, else the last one that waits."""
        if self._home:
            return self._home.popleft()
        if not self._waiting:
            return None
        part = self._waiting.pop()
        self._settle(part, 0.0)
        return part

    async def _take_back(self) -> None:
        """Takes back parts that no worker has begun: they may hold money that the work here waits for.

        As long as workers are seen to work, a part waits for one of them, unless there is nothing to do here; then one
        part is taken back.
        """
        late = time.monotonic() - TAKE_BACK_SECONDS
        stopped, others_work = self._worker.stopped is not None, self._busy_at > late
        if others_work and not stopped and (self._works or self._home or self._waiting):
            return
        for run_id, part in list(self._out.items()):
            if part.begun or (part.handed_out_at > late and not stopped):
                continue
            if not await self._end(run_id, Cancelled(message=TAKEN_BACK)):
                continue
            run = await self._client.read_flow_run(run_id)
            # Prefect gives a start also to what was ended before it began.
            if run.run_count:
                # A worker had begun it in this very moment: what it came to is read like any other's.
                part.begun = True
                continue
            self._out.pop(run_id, None)
            self._settle(part, 0.0)
            if not stopped:
                self._logger.info("No worker has begun a part of %d models: they are done here", len(part.handles))
                self._home.append(part)
                if others_work:
                    return

    async def _end_earlier(self) -> None:
        """Ends the parts of an earlier start of this run, which would work on the same models and spend on them."""
        wanted = FlowRunFilter(
            parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=[UUID(str(flow_run.get_id()))]),
            tags=FlowRunFilterTags(all_=[TAG]),
            state=FlowRunFilterState(type=FlowRunFilterStateType(not_any_=list(OVER))),
        )
        end = time.monotonic() + STOP_SECONDS
        while left := await self._client.read_flow_runs(flow_run_filter=wanted):
            for run in left:
                begun = run.state is not None and not run.state.is_scheduled()
                await self._end(run.id, (Cancelling if begun else Cancelled)(message="Its parent was started again"))
            if time.monotonic() > end:
                raise OrchestratorError(f"{len(left)} parts of an earlier start do not end. Cancel them, then retry")
            await asyncio.sleep(CHECK_SECONDS)

    async def _follow(self) -> None:
        """Hands out the parts that wait, and takes in what the others have done."""
        while True:
            try:
                await self._hand_out()
                await self._check_runs()
                await self._take_back()
            except (httpx.HTTPError, PrefectException, StoreError) as error:
                self._logger.warning("The parts could not be looked at: %s", error)
            self._looked.set()
            await asyncio.sleep(CHECK_SECONDS)

    async def _hand_out(self) -> None:
        # One stays here: this process would only wait for it.
        while len(self._waiting) > 1 and len(self._out) < MOST_OUT and self._worker.stopped is None:
            part = self._waiting.popleft()
            if not self._set_aside(part):
                # Its money may come back; what it is to cost is bounded here.
                self._home.append(part)
                continue
            self._leaving = part
            try:
                run = await self._create_run(part)
            except BaseException:
                # With its number: the request may have been answered, and the next one finds that run by its key.
                self._waiting.appendleft(part)
                raise
            finally:
                self._leaving = None
            part.tries, part.handed_out_at, part.begun = part.tries + 1, time.monotonic(), False
            self._out[run.id] = part

    def _set_aside(self, part: Part) -> bool:
        """Numbers a part and sets its money aside; False where there is none left."""
        if part.number is None:
            if self._shared_budget is not None:
                grant = self._choose_grant(part)
                if grant <= 0:
                    return False
                self._shared_budget.set_aside(grant)
                part.grant_usd = grant
            part.number = next(self._numbers)
        return True

    async def _create_run(self, part: Part) -> FlowRun:
        assert self._deployment_id is not None
        return await self._client.create_flow_run_from_deployment(
            self._deployment_id,
            parameters={**self._parameters, "handles": list(part.handles), "max_cost_usd": part.grant_usd},
            name=f"part {part.number}: {count_noun(len(part.handles), 'model')}",
            tags=[TAG],
            idempotency_key=f"{flow_run.get_id()}/{flow_run.get_run_count()}/{part.number}",
            parent_task_run_id=self._task_run_id,
            work_queue_name=QUEUE,
        )

    def _choose_grant(self, part: Part) -> float:
        """The share of the money left that belongs to a part's models, among all models that nobody has begun."""
        assert self._shared_budget is not None
        waiting = len(part.handles) + sum(len(other.handles) for other in self._waiting)
        # What is worked on here spends from the same budget, and is not known yet: it counts as one part more.
        return self._shared_budget.left_usd * len(part.handles) / (waiting + len(part.handles))

    async def _check_runs(self) -> None:
        if not self._out:
            return
        wanted = FlowRunFilter(id=FlowRunFilterId(any_=list(self._out)))
        for run in await self._client.read_flow_runs(flow_run_filter=wanted, limit=MOST_OUT):
            part, state = self._out.get(run.id), run.state
            if part is None or state is None:
                continue
            part.begun = part.begun or not state.is_scheduled()
            if part.begun:
                self._busy_at = time.monotonic()
                written = await asyncio.to_thread(read_ledger, self._samples_uri, str(run.id))
                self._take_in(written.rows)
                if state.is_final() and self._out.pop(run.id, None) is not None:
                    self._close(run, part, written)

    def _take_in(self, rows: Iterable[ModelRow]) -> None:
        for row in rows:
            self._ledger.replace_row(row)

    def _close(self, run: FlowRun, part: Part, written: Ledger) -> None:
        """Takes in the end of a part; where it died, what it has not done is handed out again."""
        assert run.state is not None
        # Of one that died, or whose last word did not come, it is not known what it has spent since.
        spent_usd = written.spent_usd if written.ended else None
        self._settle(part, part.grant_usd or 0.0 if spent_usd is None else spent_usd)
        left = [row for row in self._ledger.list_in("waits", "runs") if row.handle in set(part.handles)]
        if not left:
            return
        if run.state.is_crashed():
            self._begin_again(part, left)
        elif run.state.is_cancelled():
            for row in left:
                self._ledger.update(row.handle, state="cancelled", note=run.state.message or "Its part was cancelled")
        else:
            # It stopped for want of money, or for what others would meet too: here that is found out once more.
            self._logger.warning("%s: %s", run.name, run.state.message)
            self._home.append(self._reset(left, part.tries))

    def _begin_again(self, part: Part, left: Sequence[ModelRow]) -> None:
        if part.tries >= MOST_TRIES:
            note = f"The process that worked on it died {count_noun(part.tries, 'time')}"
            for row in left:
                self._ledger.update(row.handle, state="failed", note=note)
            return
        self._logger.warning("A part died with %d models undone: they are handed out again", len(left))
        self._waiting.append(self._reset(left, part.tries))

    def _reset(self, left: Sequence[ModelRow], tries: int) -> Part:
        for row in left:
            self._ledger.update(row.handle, state="waits", run_id=None, seconds=None)
        return Part(tuple(row.handle for row in left), tries)

    def _settle(self, part: Part, spent_usd: float) -> None:
        if self._shared_budget is not None and part.grant_usd is not None:
            self._shared_budget.settle(part.grant_usd, min(spent_usd, part.grant_usd))
        part.grant_usd = part.number = None

    async def _wait_for_rest(self, following: "asyncio.Task[None]") -> None:
        """Waits for the parts that are out. Those that none has begun are taken back; where this run was cancelled, the
        others are ended.
        """
        end = None
        while self._is_out:
            if end is None and isinstance(self._worker.stopped, RunInterruptedError | Abort):
                end = time.monotonic() + STOP_SECONDS
                for run_id in list(self._out):
                    await self._end(run_id, Cancelling(message="The run that handed this one out was cancelled"))
            if end is not None and time.monotonic() > end:
                return
            await self._wait_for_look(following)

    async def _wait_for_look(self, following: "asyncio.Task[None]") -> None:
        """Until the parts were looked at once more, or that has failed for good."""
        self._looked.clear()
        looked = asyncio.create_task(self._looked.wait())
        try:
            await asyncio.wait({looked, following}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            looked.cancel()
        if following.done():
            following.result()

    async def _end(self, run_id: UUID, state: State[Any]) -> bool:
        """Sets the state of a part; False where Prefect did not take it."""
        try:
            await self._client.set_flow_run_state(run_id, state)
        except (httpx.HTTPError, PrefectException) as error:
            self._logger.warning("A part could not be ended: %s", error)
            return False
        return True


def _describe_part(request: BackfillRequest, models_at_once: int) -> dict[str, Any]:
    """The parameters that all parts have alike. None is left out, or it would be the deployment's own default."""
    return {
        "namespace": None,
        "glob": None,
        "only_lacking": request.only_lacking,
        "synth_type": request.synth_type,
        "effort": request.effort,
        "force": request.force,
        "models_at_once": models_at_once,
        "part_size": None,
    }
