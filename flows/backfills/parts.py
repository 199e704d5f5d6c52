"""Parts of a backfill: it queues its models in parts for free workers, and works on the last parts itself.

A part is a separate backfill over some handles, a run on the work pool that any worker takes. The parent works on the
last part that no worker has begun. So a pool without a free worker, such as one worker with a limit of one that is busy
with the parent, only costs time. The parent also does what a part leaves undone.
"""

import asyncio
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

import httpx
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.responses import OrchestrationResult, SetStateStatus
from prefect.exceptions import Abort, ObjectNotFound, PrefectException
from prefect.runtime import flow_run
from prefect.states import Cancelled, Pending

from engine.backfills.ledger import Ledger, ModelRow, read_ledger
from engine.backfills.targets import BackfillRequest
from engine.errors import OrchestratorError, RunInterruptedError, StoreError
from engine.llm.gateway.budget import Budget
from engine.text.formatting import count_noun
from flows.backfills.worker import BackfillWorker
from flows.observability.logs import Logger
from flows.run.flow_runs import read_runs
from flows.run.labels import PART, STOPPED_AT_LIMIT

DEPLOYMENT = "backfill/on-demand"
# A separate queue: in a shared one, parents could take all slots and wait for their parts forever.
QUEUE = "parts"
CHECK_SECONDS = 3.0


@dataclass(slots=True)
class Part:
    """Models that are queued or with a worker; ``share_usd`` is the money reserved for them."""

    handles: tuple[str, ...]
    share_usd: float | None
    begun: bool = False


@dataclass(slots=True)
class PartDispatcher:
    """Queue the parts of one backfill, work on parts that no worker has begun, and read the ledgers of other parts.

    Args:
        task_run_id: the parent task run of the parts' runs.
        budget: the cost limit of all models together; None for no limit. Each part gets its share of it, or, if the
            database of replies keeps the limit, the whole.
    """

    client: PrefectClient
    samples_uri: str
    worker: BackfillWorker
    ledger: Ledger
    task_run_id: UUID
    budget: Budget | None
    logger: Logger
    _queued: dict[UUID, Part] = field(default_factory=dict, init=False)
    # Handles of the models that this process does itself.
    _local: list[str] = field(default_factory=list, init=False)

    async def work(self, request: BackfillRequest, part_size: int) -> None:
        """Work until every model is done, in this process or in a part.

        Raises:
            OrchestratorError: the deployment for parts is missing, or Prefect does not accept the parts.
        """
        try:
            await self._adopt()
            await self._take_in()
            await self._queue(request, part_size)
        except (httpx.HTTPError, PrefectException) as error:
            raise OrchestratorError(f"Prefect's server did not accept the parts of this backfill: {error}") from error
        working: asyncio.Task[None] | None = None
        try:
            while working or self._queued or self._local:
                rows = await self._check(is_idle=working is None)
                if rows:
                    working = asyncio.create_task(self.worker.work(rows))
                if working is None:
                    await asyncio.sleep(CHECK_SECONDS)
                elif (await asyncio.wait({working}, timeout=CHECK_SECONDS))[0]:
                    working.result()
                    working = None
        finally:
            if working is not None:
                working.cancel()
                await asyncio.gather(working, return_exceptions=True)

    async def _adopt(self) -> None:
        """Take over the parts that an earlier start of this run queued; of an ended part, only its spending."""
        parts = FlowRunFilter(parent_flow_run_id={"any_": [flow_run.get_id()]}, tags={"all_": [PART]})
        for run in await read_runs(self.client, parts):
            is_over = run.state is not None and run.state.is_final()
            share_usd = run.parameters["max_cost_usd"] if self._is_divided else None
            self._add(run.id, Part(() if is_over else tuple(run.parameters["handles"]), share_usd))

    async def _queue(self, request: BackfillRequest, part_size: int) -> None:
        elsewhere = {handle for part in self._queued.values() for handle in part.handles}
        rows = await self.worker.filter_unfinished([row for row in self.ledger.rows if row.handle not in elsewhere])
        handles = [row.handle for row in rows]
        left_usd = self.budget.left_usd if self.budget is not None and self._is_divided else None
        if left_usd == 0:
            # Queued parts may return money when they end; the models of this process wait for that.
            self._local = handles
            return
        try:
            deployment = await self.client.read_deployment_by_name(DEPLOYMENT)
        except ObjectNotFound as error:
            raise OrchestratorError(
                f"Prefect's server has no deployment {DEPLOYMENT}, which runs the parts. 'make deploy' creates "
                "it; without part_size one process does all models"
            ) from error
        template = replace(request, namespace=None, glob=None, part_size=None)
        for start in range(0, len(handles), part_size):
            if self.worker.stopped is not None:
                return
            batch = tuple(handles[start : start + part_size])
            share_usd = None if left_usd is None else left_usd * len(batch) / len(handles)
            whole_usd = None if self.budget is None else self.budget.max_usd
            part = replace(template, handles=batch, max_cost_usd=share_usd or whole_usd)
            run = await self.client.create_flow_run_from_deployment(
                deployment.id,
                # Includes parameters that are None, which would otherwise take the deployment's defaults.
                parameters=part.to_parameters(),
                name=f"part {start // part_size + 1}: {count_noun(len(batch), 'model')}",
                tags=[PART],
                # If the answer to a request is lost, the repeated request finds the same run.
                idempotency_key=f"{flow_run.get_id()}/{flow_run.get_run_count()}/{start}",
                parent_task_run_id=self.task_run_id,
                work_queue_name=QUEUE,
            )
            self._add(run.id, Part(batch, share_usd))

    @property
    def _is_divided(self) -> bool:
        """Return whether each part has a share of the budget, since no database keeps the limit for all parts."""
        return self.budget is not None and self.budget.limit is None

    def _add(self, run_id: UUID, part: Part) -> None:
        if self.budget is not None and part.share_usd is not None:
            self.budget.set_aside(part.share_usd)
        self._queued[run_id] = part

    async def _check(self, is_idle: bool) -> list[ModelRow]:
        """Read the progress of the parts; return the models to work on in this process if it is idle.

        If the server or the store does not answer, the next check asks again.
        """
        stopped = self.worker.stopped
        if stopped is not None:
            self._local = []
        try:
            await self._take_in()
            if stopped is not None:
                for run_id, part in list(self._queued.items()):
                    await self._cancel_unbegun(run_id, part)
                # Wait for begun parts, unless this run was cancelled: they notice that and end by themselves.
                if isinstance(stopped, RunInterruptedError | Abort):
                    self._queued.clear()
            elif is_idle:
                handles, self._local = self._local or await self._take_last(), []
                return [row for row in self.ledger.list_in("waits") if row.handle in handles]
        except (httpx.HTTPError, PrefectException, StoreError) as error:
            self.logger.warning("The state of the parts could not be read: %s", error)
        return []

    async def _take_in(self) -> None:
        """Copy the ledger rows of begun parts, and close ended parts."""
        if not self._queued:
            return
        for run in await read_runs(self.client, FlowRunFilter(id={"any_": list(self._queued)})):
            if run.state is None or run.state.is_scheduled():
                continue
            part = self._queued[run.id]
            part.begun = True
            written = await asyncio.to_thread(read_ledger, self.samples_uri, str(run.id))
            for row in written.rows:
                if row.handle in part.handles:
                    self.ledger.replace_row(row)
            if run.state.is_final():
                # If a part died or did not write its last ledger, its spending since the last write is unknown.
                is_known = written.ended or not run.run_count
                self._remove(run.id, written.spent_usd or 0.0, is_known)
                self._close(run, part)

    def _close(self, run: FlowRun, part: Part) -> None:
        """Take over the models that a part left undone (process died, error or share spent), unless cancelled."""
        assert run.state is not None
        note, at_limit = run.state.message or "Its part was cancelled", run.state.name == STOPPED_AT_LIMIT
        rows = [row for row in self.ledger.list_in("waits", "runs", "cancelled") if row.handle in part.handles]
        # Excludes models that a person cancelled.
        left = [row.handle for row in rows if row.state != "cancelled" or (at_limit and row.at_limit)]
        for handle in left:
            if run.state.is_cancelled() and not at_limit:
                self.ledger.update(handle, state="cancelled", note=note)
            else:
                self.ledger.update(handle, state="waits", run_id=None, seconds=None, at_limit=False)
                self._local.append(handle)
        if left:
            self.logger.warning("%s ended with %s undone: %s", run.name, count_noun(len(left), "model"), note)

    async def _take_last(self) -> list[str]:
        for run_id, part in reversed(self._queued.items()):
            if await self._cancel_unbegun(run_id, part):
                return list(part.handles)
        return []

    async def _cancel_unbegun(self, run_id: UUID, part: Part) -> bool:
        """Take a part out of the queue as a worker would: Prefect gives a run to exactly one client."""
        if part.begun:
            return False
        answer: OrchestrationResult[Any] = await self.client.set_flow_run_state(run_id, Pending())
        if answer.status is not SetStateStatus.ACCEPT:
            part.begun = True
            return False
        await self.client.set_flow_run_state(run_id, Cancelled(message="The backfill that queued it does it itself"))
        self._remove(run_id)
        return True

    def _remove(self, run_id: UUID, spent_usd: float = 0.0, is_known: bool = True) -> None:
        share_usd = self._queued.pop(run_id).share_usd
        if self.budget is None:
            return
        if share_usd is None:
            # The database enforces the limit; this count is for the page.
            self.budget.spend(spent_usd)
        else:
            spent_usd = min(spent_usd, share_usd) if is_known else share_usd
            self.budget.release(share_usd, spent_usd)
        self.worker.parts_usd += spent_usd
