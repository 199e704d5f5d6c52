"""A run that takes the price of a batch: what lacks goes into the outbox, and the run waits until all of it has ended.

When its lines have ended it begins from the top, finds what came among the kept replies, and asks what lacks live.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

from prefect import get_run_logger
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import State
from prefect.exceptions import Abort, ObjectNotFound, Pause
from prefect.runtime import flow_run
from prefect.states import Suspended
from prefect.utilities.engine import propose_state

from engine.asking.cells import make_request
from engine.asking.plan import Cell, Plan
from engine.domain.model import BatchMode
from engine.domain.progress import LoggedProgress, Noticed, Progress, StageBegun
from engine.errors import ModelBusyError, ProviderError, RunInterruptedError
from engine.llm.batches.forms import find_place
from engine.llm.batches.outbox import Asked, BatchRun, Outbox
from engine.llm.client.batch_client import BatchClient
from engine.llm.client.request import Request
from engine.llm.gateway.budget import bound_call
from engine.llm.gateway.model_gateway import ModelGateway
from engine.run.job import Job
from engine.run.job_inputs import read_job, write_job
from engine.settings import Settings
from engine.text.formatting import count_noun
from flows.batches.collect import MAY_END, collect_here, describe_waiting, keep_collecting
from flows.run.labels import AGAIN
from flows.run.page.artifacts import show_page

T = TypeVar("T")
OUT = ("waits", "sent")


class BatchAwaited(Exception):  # noqa: N818 (no error: the run goes on later)
    """Lines of the run's plan are out: nothing more is to be done before they have ended."""


@dataclass(slots=True)
class Batching:
    """What a run asks by batches.

    Args:
        mode: ``none``: nothing; ``first``: the cells of the first round, once; ``all``: those of each round and the
            votes on them, too.
        asked: the parameters of the flow run.
        run: the run as it stands in the outbox; None before it has queued anything.
        job: what the run is planned from.
        progress: of the run.
    """

    settings: Settings
    mode: BatchMode
    asked: dict[str, Any]
    run: BatchRun | None = None
    job: Job | None = None
    progress: Progress = field(default_factory=LoggedProgress)

    def read_inputs(self) -> Job | None:
        """The job that the run was planned from when it began to wait; None where it did not."""
        return read_job(self.run.inputs) if self.run else None

    async def queue_cells(self, plan: Plan, cells: Sequence[Cell], gateway: ModelGateway) -> None:
        """Queues the calls of a round for whose cells there are no replies.

        Raises:
            BatchAwaited: lines are out. ProviderError: the provider refused a batch of them.
            InputError: the model is none that is asked in batches. StoreError: the outbox cannot be written.
        """
        if self.mode == "all" or (self.mode == "first" and cells[0].round_no == 1):
            await self._queue(plan, [make_request(plan, cell, gateway.endpoint) for cell in cells], gateway)

    async def queue_votes(self, plan: Plan, requests: Sequence[Request], gateway: ModelGateway) -> None:
        """Queues the votes on a round's texts; raises as ``queue_cells``."""
        if self.mode == "all" and not gateway.endpoint.decides:
            await self._queue(plan, requests, gateway)

    async def _queue(self, plan: Plan, requests: Sequence[Request], gateway: ModelGateway) -> None:
        lacking = gateway.find_unanswered(requests)
        list_lines = partial(Outbox.list_lines, plan_id=plan.plan_id)
        lines = await ask_outbox(self.settings, list_lines)
        new = [request for request in lacking if request.key not in lines]
        if lacking and (self.run is None or (new and self.mode == "all")):
            # Lines may be out already, of a run that was cancelled, or of one on another machine.
            await self._put(plan, new, gateway)
            lines = await ask_outbox(self.settings, list_lines)
        if lines and (price := find_place(gateway.endpoint).price):
            gateway.budget.batch_prices[gateway.endpoint.name] = price
        states = [lines[request.key] for request in lacking if request.key in lines]
        if refused := [line.said for line in states if line.state == "refused"]:
            await self.finish()
            raise ProviderError(
                f"{gateway.endpoint.name}: this run's batch was not taken: {refused[0].rstrip('.')}. Nothing was paid "
                "for it: start the run again when that is mended, or without --batch"
            )
        if any(line.state in OUT for line in states):
            raise BatchAwaited
        if said := Counter(line.said for line in states if line.state == "live"):
            calls, why = count_noun(said.total(), "call"), said.most_common(1)[0][0]
            self.progress.report(Noticed(f"The batch did not answer {calls}, now asked live: {why}"))

    async def _put(self, plan: Plan, requests: Sequence[Request], gateway: ModelGateway) -> None:
        """Puts the run into the outbox, and lines for requests, as many as the limits leave room for."""
        endpoint, limit = gateway.endpoint, gateway.budget.shared_limit
        place, writer = find_place(endpoint), BatchClient(endpoint, self.settings.call_timeout_seconds)
        priced = replace(writer.endpoint, price=place.price)
        asked = [Asked(item.key, await writer.write_body(item), bound_call(item, priced).usd) for item in requests]
        assert self.job is not None
        self.run = self.run or BatchRun(
            run_id=self._run_id,
            plan_id=plan.plan_id,
            handle=plan.model.handle,
            synth_type=plan.synth_type,
            effort=plan.level.effort,
            parent=flow_run.get_parent_flow_run_id(),
            asked=self.asked,
            inputs=write_job(self.job),
            mode="all" if self.mode == "all" else "first",
        )
        queue = partial(Outbox.queue, run=self.run, place=place, asked=asked, left_usd=gateway.budget.left_usd)
        await ask_outbox(self.settings, partial(queue, limit=limit))

    async def finish(self) -> None:
        """Takes the run out of the outbox."""
        if self.run is not None:
            await ask_outbox(self.settings, partial(Outbox.end, run_id=self._run_id))

    @property
    def _run_id(self) -> str:
        return str(flow_run.get_id())


async def open_batching(settings: Settings, mode: BatchMode, asked: dict[str, Any]) -> Batching:
    """What the run asks by batches, and how far it is with that."""
    find = partial(Outbox.find_runs, run_id=str(flow_run.get_id()))
    runs = [] if mode == "none" else await ask_outbox(settings, find)
    return Batching(settings, mode, asked, runs[0] if runs else None)


async def ask_outbox(settings: Settings, ask: Callable[[Outbox], T]) -> T:
    """What the outbox answers, asked in a thread."""

    def open_and_ask() -> T:
        with Outbox(settings.replies_place) as outbox:
            return ask(outbox)

    return await asyncio.to_thread(open_and_ask)


async def take_over(batching: Batching, plan_id: str, client: SyncPrefectClient) -> None:
    """Takes over what a run of the same plan waited for whose process is gone.

    Raises:
        ModelBusyError: another run waits, or this one would pay once more for what is out.
    """
    own, settings = str(flow_run.get_id()), batching.settings
    for run in await ask_outbox(settings, partial(Outbox.find_runs, plan_id=plan_id)):
        if run.run_id == own:
            continue
        if is_suspended(client, run.run_id):
            raise ModelBusyError(
                f"Run {run.run_id} waits for a provider's batch for the same samples of {run.handle}, and goes on when "
                "it has come. 'exemplars batches list' says how far that is. This run asked nothing",
                run.run_id,
            )
        if batching.mode != "none":
            await ask_outbox(settings, partial(Outbox.hand_over, old=run.run_id, new=own))
            batching.run = replace(run, run_id=own)
        elif (await ask_outbox(settings, partial(Outbox.count_lines, plan_id=plan_id)))["sent"]:
            raise ModelBusyError(
                f"Calls for the same samples of {run.handle} are in a provider's batch, which run {run.run_id} waited "
                "for until it was ended. Start this one with --batch to go on with them, or end them by 'exemplars "
                "batches cancel'",
                run.run_id,
            )
        else:
            await ask_outbox(settings, partial(Outbox.end, run_id=run.run_id))


def is_suspended(client: SyncPrefectClient, run_id: str) -> bool:
    """Whether a run is suspended by what Prefect says; not where Prefect does not know it."""
    try:
        state = client.read_flow_run(UUID(run_id)).state
    except ObjectNotFound:
        return False
    return state is not None and state.is_paused()


async def wait_for_batch(batching: Batching, progress: Progress, here: bool) -> None:
    """Says on the run's page what it waits for, and returns when that has ended.

    Args:
        here: whether it waits in this process.

    Raises:
        prefect.exceptions.Pause: it does not: the run is to be suspended, with this message.
        RunInterruptedError: somebody has cancelled what it waits for.
    """
    settings, run = batching.settings, batching.run
    assert run is not None
    said = await asyncio.to_thread(describe_waiting, settings, run.plan_id)
    get_run_logger().info("%s", said)
    await show_page(run.run_id, "verdict", f"# {said}\n", said)
    progress.report(StageBegun(f"{said}. {MAY_END}" if here else said))
    if not here:
        lines = await ask_outbox(settings, partial(Outbox.count_lines, plan_id=run.plan_id))
        # It stands until the run goes on, while the page is written anew when the calls have gone.
        raise Pause(
            f"{count_noun(lines['waits'] + lines['sent'], 'call')} wait for a provider's batch, which answers within a "
            "day. The run goes on by itself then. Under Artifacts, verdict: when they went"
        )
    await collect_here(settings, [run.run_id], lambda text: progress.report(StageBegun(text)))
    if not await ask_outbox(settings, partial(Outbox.find_runs, run_id=run.run_id)):
        others = await ask_outbox(settings, partial(Outbox.find_runs, plan_id=run.plan_id))
        said = "What this run waited for was cancelled"
        if others:
            said = f"Run {others[0].run_id} was started for the same samples, and has what this one waited for"
        raise RunInterruptedError(f"{said}. {AGAIN}")


async def suspend(said: str, is_child: bool) -> None:
    """Suspends this flow run until the collector, or the backfill that it is a child of, has it go on.

    It must have sent its last heartbeat: after one that comes later it would be taken for dead.

    Raises:
        prefect.exceptions.Pause: it is suspended. It returns where Prefect does not suspend it.
    """
    state: State[None] = Suspended(message=said)
    run_id = UUID(str(flow_run.get_id()))
    logging.getLogger("prefect.flow_runs").addFilter(_show_as_no_error)
    async with get_client() as client:
        await keep_collecting(client)
        if is_child:
            # Prefect suspends no run without a deployment.
            await client.set_flow_run_state(run_id, state, force=True)
            raise Pause(state=state)
        with suppress(Abort):
            told = await propose_state(client, state, flow_run_id=run_id)
            if told.is_paused():
                raise Pause(state=told)


def _show_as_no_error(record: logging.LogRecord) -> bool:
    """Keeps a record; Prefect has it in red that a run which waits has not completed."""
    if record.getMessage().startswith("Finished in state Suspended("):
        record.levelno, record.levelname = logging.INFO, logging.getLevelName(logging.INFO)
    return True
