"""Handing out: the models of a backfill go in parts to whichever workers are free, and the rest is done here.

A part is a backfill of its own over some handles, a run on the work pool: any worker takes it, and one that dies leaves
what it had not done to another part. Whoever hands out works as well, from the other end, and takes back what no worker
has begun: a pool without a free worker costs time and nothing else.
"""

import asyncio
import itertools
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.client.schemas.objects import FlowRun
from prefect.exceptions import ObjectNotFound, PrefectException
from prefect.runtime import flow_run
from prefect.states import Cancelled, Cancelling

from engine.errors import BackfillError, OrchestratorError, RunInterruptedError, StoreError
from engine.ledger import Ledger, ModelRow, read_ledger
from engine.purse import Purse
from engine.selection import Selection
from flows.crew import Crew
from flows.lease import Logger

DEPLOYMENT = "backfill/on-demand"
# A queue of its own: where runs that hand out filled the one of their parts, all would wait for ever.
QUEUE = "parts"
TAG = "part"
# As many as there may be workers; more would only wait at Prefect and not here.
MOST_OUT = 64
LOOK_SECONDS = 3.0
# A worker asks every 10 s if not told otherwise: what none has begun after two of these is done here.
TAKE_BACK_SECONDS = 20.0
MOST_TRIES = 3
STOP_SECONDS = 60.0


@dataclass(slots=True)
class Part:
    """Some models, how often they were handed out, and what the run that has them may spend."""

    handles: tuple[str, ...]
    tries: int = 0
    grant_usd: float = 0.0
    handed_out_at: float = 0.0
    begun: bool = False


class HandingOut:
    """The parts of one backfill.

    Args:
        task_run_id: the task run that their runs hang on.
        purse: what all models may cost together; None where nothing bounds it.
    """

    def __init__(
        self,
        client: PrefectClient,
        samples_uri: str,
        crew: Crew,
        ledger: Ledger,
        task_run_id: UUID,
        purse: Purse | None,
        logger: Logger,
    ) -> None:
        self._client = client
        self._samples_uri = samples_uri
        self._crew = crew
        self._ledger = ledger
        self._parameters: Mapping[str, Any] = {}
        self._task_run_id = task_run_id
        self._purse = purse
        self._logger = logger
        self._waiting: deque[Part] = deque()
        self._out: dict[UUID, Part] = {}
        self._looked = asyncio.Event()
        self._deployment_id: UUID | None = None
        self._numbers = itertools.count(1)

    async def work(self, selection: Selection, part_size: int, models_at_once: int) -> None:
        """Works until every model has come to its end, here or in a part.

        Raises:
            OrchestratorError: there is no deployment that parts could be runs of.
        """
        self._deployment_id = await self._find_deployment()
        self._parameters = _describe_part(selection, models_at_once)
        handles = [row.handle for row in await self._crew.sift(self._ledger.rows)]
        self._waiting.extend(
            Part(tuple(handles[start : start + part_size])) for start in range(0, len(handles), part_size)
        )
        following = asyncio.create_task(self._follow())
        try:
            while (self._waiting or self._out) and self._crew.stopped is None:
                part = await self._take()
                if part is None:
                    await self._wait_for_look()
                else:
                    await self._crew.work(self._list_rows(part), models_at_once)
            self._waiting.clear()
            await self._wait_for_rest()
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)

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

    async def _take(self) -> Part | None:
        """A part to be done here: the last one that waits, else one that no worker has begun."""
        if self._waiting:
            return self._waiting.pop()
        late = time.monotonic() - TAKE_BACK_SECONDS
        for run_id, part in list(self._out.items()):
            if not part.begun and part.handed_out_at < late:
                self._logger.info("No worker has begun a part of %d models: they are done here", len(part.handles))
                await self._end(run_id, Cancelled(message="No worker was free: its models are done by its parent"))
                if self._out.pop(run_id, None) is not None:
                    self._settle(part, 0.0)
                    return part
        return None

    async def _follow(self) -> None:
        """Hands out what waits, and takes in what the parts have done."""
        while True:
            try:
                await self._hand_out()
                await self._look()
            except (httpx.HTTPError, PrefectException, StoreError) as error:
                self._logger.warning("The parts could not be looked at: %s", error)
            self._looked.set()
            await asyncio.sleep(LOOK_SECONDS)

    async def _hand_out(self) -> None:
        # One stays here: this process would only wait for it.
        while len(self._waiting) > 1 and len(self._out) < MOST_OUT and self._crew.stopped is None:
            part = self._waiting.popleft()
            try:
                run = await self._create_run(part)
            except BaseException:
                self._settle(part, 0.0)
                self._waiting.appendleft(part)
                raise
            part.tries, part.handed_out_at, part.begun = part.tries + 1, time.monotonic(), False
            self._out[run.id] = part

    async def _create_run(self, part: Part) -> FlowRun:
        number = next(self._numbers)
        cost: dict[str, Any] = {"max_cost_usd": None}
        if self._purse is not None:
            part.grant_usd = self._choose_grant(part)
            self._purse.set_aside(part.grant_usd)
            cost = {"max_cost_usd": part.grant_usd}
        assert self._deployment_id is not None
        return await self._client.create_flow_run_from_deployment(
            self._deployment_id,
            parameters={**self._parameters, "handles": list(part.handles), **cost},
            name=f"part {number}: {len(part.handles)} models",
            tags=[TAG],
            idempotency_key=f"{flow_run.get_id()}/{flow_run.get_run_count()}/{number}",
            parent_task_run_id=self._task_run_id,
            work_queue_name=QUEUE,
        )

    def _choose_grant(self, part: Part) -> float:
        """The share of what is left that belongs to a part's models, among all that nobody has begun."""
        assert self._purse is not None
        waiting = len(part.handles) + sum(len(other.handles) for other in self._waiting)
        # What is worked on here spends from the same purse, and is not known yet: it counts as one part more.
        return self._purse.left_usd * len(part.handles) / (waiting + len(part.handles))

    async def _look(self) -> None:
        if not self._out:
            return
        wanted = FlowRunFilter(id=FlowRunFilterId(any_=list(self._out)))
        for run in await self._client.read_flow_runs(flow_run_filter=wanted, limit=MOST_OUT):
            part, state = self._out.get(run.id), run.state
            if part is None or state is None:
                continue
            part.begun = part.begun or not state.is_scheduled()
            if part.begun:
                written = await asyncio.to_thread(read_ledger, self._samples_uri, str(run.id))
                self._take_in(written.rows)
                if state.is_final() and self._out.pop(run.id, None) is not None:
                    self._close(run, part, written)

    def _take_in(self, rows: Iterable[ModelRow]) -> None:
        for row in rows:
            self._ledger.take(row)

    def _close(self, run: FlowRun, part: Part, written: Ledger) -> None:
        """Takes in the end of a part; what it has not done is handed out again where it died."""
        assert run.state is not None
        # Of one that died it is not known what it has spent since it last wrote.
        self._settle(part, part.grant_usd if run.state.is_crashed() else written.spent_usd or 0.0)
        left = [row for row in self._ledger.list_in("waits", "runs") if row.handle in set(part.handles)]
        if run.state.is_crashed() and left:
            self._begin_again(part, left)
        elif left and self._crew.stopped is None:
            self._crew.stop(BackfillError(f"part {run.name}: {run.state.message}"), at_once=False)

    def _begin_again(self, part: Part, left: Sequence[ModelRow]) -> None:
        if part.tries >= MOST_TRIES:
            note = f"The process that worked on it died {part.tries} times"
            for row in left:
                self._ledger.note(row.handle, state="failed", note=note)
            return
        self._logger.warning("A part died with %d models undone: they are handed out again", len(left))
        for row in left:
            self._ledger.note(row.handle, state="waits", run_id=None, seconds=None)
        self._waiting.append(Part(tuple(row.handle for row in left), part.tries))

    def _settle(self, part: Part, spent_usd: float) -> None:
        if self._purse is not None and part.grant_usd:
            self._purse.settle(part.grant_usd, min(spent_usd, part.grant_usd))
            part.grant_usd = 0.0

    async def _wait_for_rest(self) -> None:
        """Waits for the parts that are out; where this run was cancelled it ends them."""
        if isinstance(self._crew.stopped, RunInterruptedError):
            for run_id, part in list(self._out.items()):
                said = "The run that handed this one out was cancelled"
                await self._end(run_id, Cancelling(message=said) if part.begun else Cancelled(message=said))
            with suppress(TimeoutError):
                async with asyncio.timeout(STOP_SECONDS):
                    await self._wait_until_none_is_out()
            return
        await self._wait_until_none_is_out()

    async def _wait_until_none_is_out(self) -> None:
        while self._out:
            await self._wait_for_look()

    async def _wait_for_look(self) -> None:
        self._looked.clear()
        await self._looked.wait()

    async def _end(self, run_id: UUID, state: Any) -> None:
        with suppress(httpx.HTTPError, PrefectException):
            await self._client.set_flow_run_state(run_id, state)


def _describe_part(selection: Selection, models_at_once: int) -> dict[str, Any]:
    """What all parts are asked for alike: nothing is left out, or it would be the deployment's own default."""
    return {
        "namespace": None,
        "glob": None,
        "only_lacking": selection.only_lacking,
        "synth_type": selection.synth_type,
        "effort": selection.effort,
        "force": selection.force,
        "models_at_once": models_at_once,
        "part_size": None,
    }
