"""Parts: a backfill queues its models, in parts, for whichever workers are free, and does itself what nobody has begun.

A part is a backfill of its own over some handles, a run on the work pool: any worker takes it, and what a worker that
dies had not done goes to another. The parent works too, on one part at a time: a pool without a free worker, such as
that of one worker with a limit of one, which is busy with the parent, costs time and nothing else.
"""

import asyncio
import time
from collections import deque
from dataclasses import dataclass, field
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
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.responses import OrchestrationResult, SetStateStatus
from prefect.exceptions import Abort, ObjectNotFound, PrefectException
from prefect.runtime import flow_run
from prefect.states import Cancelled, Cancelling, Pending

from engine.backfills.ledger import Ledger, ModelRow, ModelState, read_ledger
from engine.backfills.targets import BackfillRequest
from engine.errors import OrchestratorError, RunInterruptedError, StoreError
from engine.llm.gateway.budget import Budget
from engine.text.formatting import count_noun
from flows.backfills.child_runs import read_runs
from flows.backfills.resources import PART
from flows.backfills.worker import BackfillWorker
from flows.run.lease.lease import Logger

DEPLOYMENT = "backfill/on-demand"
# A queue of its own: where runs that queue parts filled the one of their parts, all would wait for ever.
QUEUE = "parts"
CHECK_SECONDS = 3.0
# A worker asks for runs every 10 s if not told otherwise.
UNBEGUN_SECONDS = 60.0
MAX_TRIES = 3
STOP_SECONDS = 60.0
# In which a second start of this run finds parts of the first that go on. One that is being cancelled does not.
AT_WORK = (StateType.SCHEDULED, StateType.PENDING, StateType.RUNNING)


@dataclass(slots=True)
class Part:
    """Some models; ``tries`` counts the workers that took them, ``share_usd`` is what is set aside for them here."""

    handles: tuple[str, ...]
    tries: int = 0
    number: int = 0
    share_usd: float | None = None
    queued_at: float = 0.0
    begun: bool = False


@dataclass(slots=True)
class PartDispatcher:
    """Queues the parts of one backfill and takes in what becomes of them.

    Args:
        task_run_id: the task run that the parts' runs hang on.
        budget: what all models may cost together; None where nothing bounds it. Each part gets its share of it, or,
            where the limit stands in the database of replies, the whole.
    """

    client: PrefectClient
    samples_uri: str
    worker: BackfillWorker
    ledger: Ledger
    task_run_id: UUID
    budget: Budget | None
    logger: Logger
    _waiting: deque[Part] = field(default_factory=deque, init=False)
    _queued: dict[UUID, Part] = field(default_factory=dict, init=False)
    # What this process does itself.
    _here: deque[Part] = field(default_factory=deque, init=False)
    _numbered: int = field(default=0, init=False)
    _end_by: float | None = field(default=None, init=False)
    _deployment_id: UUID = field(init=False)
    _parameters: dict[str, Any] = field(init=False)

    async def work(self, request: BackfillRequest, part_size: int, models_at_once: int) -> None:
        """Works until every model is done, here or in a part.

        Raises:
            OrchestratorError: there is no deployment that parts could be runs of.
        """
        self._deployment_id = await self._find_deployment()
        self._parameters = _describe_part(request, models_at_once)
        await self._adopt()
        elsewhere = self._list_elsewhere()
        rows = await self.worker.filter_unfinished([row for row in self.ledger.rows if row.handle not in elsewhere])
        handles = [row.handle for row in rows]
        self._waiting.extend(
            Part(tuple(handles[start : start + part_size])) for start in range(0, len(rows), part_size)
        )
        if self._waiting:
            # Begun here at once: this process would only wait for it.
            self._here.append(self._waiting.pop())
        working: asyncio.Task[None] | None = None
        try:
            while working or self._here or self._waiting or self._queued:
                await self._check(is_idle=working is None)
                if working is None and self._here:
                    part = self._here.popleft()
                    working = asyncio.create_task(self.worker.work(self._list_rows(part, "waits"), models_at_once))
                if working is None:
                    await asyncio.sleep(CHECK_SECONDS)
                elif (await asyncio.wait({working}, timeout=CHECK_SECONDS))[0]:
                    working.result()
                    working = None
        finally:
            if working is not None:
                working.cancel()
                await asyncio.gather(working, return_exceptions=True)

    async def _find_deployment(self) -> UUID:
        try:
            return (await self.client.read_deployment_by_name(DEPLOYMENT)).id
        except ObjectNotFound as error:
            raise OrchestratorError(
                f"Prefect's server has no deployment {DEPLOYMENT}, whose runs take parts. 'make deploy' makes it; "
                "without part_size one process does all"
            ) from error

    async def _adopt(self) -> None:
        """Takes over the parts that an earlier start of this run has queued and that still go on."""
        parent = FlowRunFilterParentFlowRunId(any_=[UUID(str(flow_run.get_id()))])
        tags, states = FlowRunFilterTags(all_=[PART]), FlowRunFilterStateType(any_=list(AT_WORK))
        wanted = FlowRunFilter(parent_flow_run_id=parent, tags=tags, state=FlowRunFilterState(type=states))
        for run in await read_runs(self.client, wanted):
            part = Part(tuple(run.parameters["handles"]), 1, queued_at=time.monotonic())
            if self.budget is not None and self.budget.limit is None:
                part.share_usd = run.parameters["max_cost_usd"]
                self.budget.set_aside(part.share_usd)
            self._queued[run.id] = part

    async def _check(self, is_idle: bool) -> None:
        """Queues what waits, takes in what others have done, and takes a part back where this process is idle.

        A server or a store that does not answer is asked again the next time; after a cancellation for ``STOP_SECONDS``
        at most.
        """
        if self.worker.stopped is not None:
            self._waiting.clear()
            self._here.clear()
        if self._is_cancelled:
            self._end_by = self._end_by or time.monotonic() + STOP_SECONDS
        try:
            if self.worker.stopped is None:
                await self._queue_waiting()
            await self._take_in()
            if self.worker.stopped is not None:
                await self._end_parts()
            elif is_idle and not self._here:
                await self._take_back()
        except (httpx.HTTPError, PrefectException, StoreError) as error:
            self.logger.warning("The parts could not be looked at: %s", error)
        if self._end_by is not None and time.monotonic() > self._end_by:
            self._queued.clear()

    @property
    def _is_cancelled(self) -> bool:
        return isinstance(self.worker.stopped, RunInterruptedError | Abort)

    async def _queue_waiting(self) -> None:
        while self._waiting and self.worker.stopped is None:
            part = self._waiting[0]
            if not part.number and not self._set_aside(part):
                # No money is left, but some may come back, and what is done here waits for that.
                self._here.append(self._waiting.popleft())
                continue
            limit_usd = self.budget.max_usd if self.budget is not None and self.budget.limit else part.share_usd
            run = await self.client.create_flow_run_from_deployment(
                self._deployment_id,
                parameters={**self._parameters, "handles": list(part.handles), "max_cost_usd": limit_usd},
                name=f"part {part.number}: {count_noun(len(part.handles), 'model')}",
                tags=[PART],
                # A request whose answer was lost finds its run the next time.
                idempotency_key=f"{flow_run.get_id()}/{flow_run.get_run_count()}/{part.number}",
                parent_task_run_id=self.task_run_id,
                work_queue_name=QUEUE,
            )
            part.tries, part.queued_at = part.tries + 1, time.monotonic()
            self._queued[run.id] = self._waiting.popleft()

    def _set_aside(self, part: Part) -> bool:
        """Numbers a part and sets its models' share of what is left aside; False where nothing is left."""
        if self.budget is not None and self.budget.limit is None:
            elsewhere = self._list_elsewhere()
            here = sum(row.handle not in elsewhere for row in self.ledger.list_in("waits", "runs"))
            part.share_usd = self.budget.left_usd * len(part.handles) / here
            if part.share_usd <= 0:
                return False
            self.budget.set_aside(part.share_usd)
        self._numbered += 1
        part.number = self._numbered
        return True

    async def _take_in(self) -> None:
        """Takes in the rows of the parts that workers have begun."""
        if not self._queued:
            return
        begun = FlowRunFilterState(type=FlowRunFilterStateType(not_any_=[StateType.SCHEDULED]))
        for run in await read_runs(
            self.client, FlowRunFilter(id=FlowRunFilterId(any_=list(self._queued)), state=begun)
        ):
            part = self._queued[run.id]
            part.begun = True
            written = await asyncio.to_thread(read_ledger, self.samples_uri, str(run.id))
            for row in written.rows:
                self.ledger.replace_row(row)
            if run.state is not None and run.state.is_final():
                # Of one that died, or whose last word did not come, it is not known what it has spent since.
                is_known = written.ended or not run.run_count
                self._remove(run.id, written.spent_usd or 0.0, is_known)
                self._close(run, part)

    async def _take_back(self) -> None:
        """Takes back the last of the parts that no worker has begun for so long: there is nothing else to do here."""
        for run_id, part in reversed(self._queued.items()):
            is_late = part.queued_at < time.monotonic() - UNBEGUN_SECONDS
            if is_late and await self._cancel_unbegun(run_id, part):
                models = count_noun(len(part.handles), "model")
                self.logger.info("No worker has begun a part of %s: it is done here", models)
                self._here.append(part)
                return

    async def _end_parts(self) -> None:
        """Ends the parts that no worker has begun, since this process has stopped; all, where it was cancelled."""
        for run_id, part in list(self._queued.items()):
            if self._is_cancelled:
                await self.client.set_flow_run_state(run_id, Cancelling(message="Its parent was cancelled"))
            else:
                await self._cancel_unbegun(run_id, part)

    async def _cancel_unbegun(self, run_id: UUID, part: Part) -> bool:
        """Takes a part out of the queue as a worker would: of all who ask for a run, Prefect lets one have it."""
        if part.begun:
            return False
        answer: OrchestrationResult[Any] = await self.client.set_flow_run_state(run_id, Pending())
        if answer.status is not SetStateStatus.ACCEPT:
            return False
        await self.client.set_flow_run_state(run_id, Cancelled(message="No worker had begun it"))
        self._remove(run_id)
        return True

    def _remove(self, run_id: UUID, spent_usd: float = 0.0, is_known: bool = True) -> None:
        """Removes a part and counts what it has spent; where that is not known, its whole share."""
        share_usd = self._queued.pop(run_id).share_usd
        if share_usd is not None and self.budget is not None:
            self.budget.settle(share_usd, min(spent_usd, share_usd) if is_known else share_usd)
        elif self.budget is not None:
            # The limit is held by the database; here it is counted for the page.
            self.budget.spend(spent_usd)

    def _close(self, run: FlowRun, part: Part) -> None:
        """Takes in the end of a part; where its process died, what it has not done is queued again."""
        assert run.state is not None
        left, again = self._list_rows(part, "waits", "runs"), None
        changes: dict[str, Any]
        if run.state.is_cancelled():
            changes = {"state": "cancelled", "note": run.state.message or "Its part was cancelled"}
        elif run.state.is_crashed() and part.tries >= MAX_TRIES:
            note = f"The process that worked on it died {count_noun(part.tries, 'time')}"
            changes = {"state": "failed", "note": note}
        else:
            # One that failed has met what others would meet too, such as a spent limit: that is found out here.
            changes = {"state": "waits", "run_id": None, "seconds": None}
            again = self._waiting if run.state.is_crashed() else self._here
        for row in left:
            self.ledger.update(row.handle, **changes)
        if left and again is not None:
            models = count_noun(len(left), "model")
            self.logger.warning("%s ended with %s undone: %s", run.name, models, run.state.message)
            again.append(Part(tuple(row.handle for row in left), part.tries))

    def _list_rows(self, part: Part, *states: ModelState) -> list[ModelRow]:
        return [row for row in self.ledger.list_in(*states) if row.handle in set(part.handles)]

    def _list_elsewhere(self) -> set[str]:
        """The models of the parts that are queued or with a worker."""
        return {handle for part in self._queued.values() for handle in part.handles}


def _describe_part(request: BackfillRequest, models_at_once: int) -> dict[str, Any]:
    """The parameters that all parts have alike. None is left out, or it would be the deployment's own default."""
    same = {name: getattr(request, name) for name in ("only_lacking", "synth_type", "effort", "force", "strict")}
    return {**same, "namespace": None, "glob": None, "models_at_once": models_at_once, "part_size": None}
