"""A run that takes the price of a batch: what lacks goes into the outbox, and the run waits until all of it has ended.

When its lines have ended it begins from the top, finds what came among the kept replies, and asks what lacks live.
"""

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
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
from engine.domain.progress import Noticed, Progress, StageBegun
from engine.domain.run_request import RunRequest
from engine.errors import ModelBusyError, ProviderError, RunInterruptedError
from engine.estimate.forecast import RunForecast
from engine.llm.batches.account import find_account
from engine.llm.batches.outbox import BatchRun, Outbox, QueuedRequest
from engine.llm.client.batch_client import BatchClient
from engine.llm.client.request import Request
from engine.llm.gateway.budget import find_ceiling
from engine.llm.gateway.model_gateway import ModelGateway
from engine.run.job import Job
from engine.run.job_inputs import read_job, write_job
from engine.settings import Settings
from engine.text.formatting import count_noun
from flows.batches.collect import MAY_END, ask_outbox, collect_here, describe_waiting, keep_collecting
from flows.run.labels import AGAIN
from flows.run.outcome import get_run_id
from flows.run.page.artifacts import show_page


class BatchAwaited(Exception):  # noqa: N818 (no error: the run goes on later)
    """Lines of the run's plan are out: nothing more is to be done before they have ended."""


@dataclass(slots=True)
class Batching:
    """What a run asks by batches.

    Args:
        wanted: what the run is asked for. By its ``batch`` nothing goes in batches (``none``), the cells of the first
            round, once (``first``), or those of each round and the votes on them, too (``all``).
        run: the run as it stands in the outbox; None before it has queued anything.
        job: what the run is planned from; at first None, unless it goes on.
        progress: of the run.
    """

    settings: Settings
    wanted: RunRequest
    run: BatchRun | None = None
    job: Job | None = None
    progress: Progress = field(default_factory=RunForecast)

    async def queue_cells(self, plan: Plan, cells: Sequence[Cell], gateway: ModelGateway) -> None:
        """Queues the calls of a round for whose cells there are no replies.

        Raises:
            BatchAwaited: lines are out. ProviderError: the provider refused a batch of them.
            InputError: the model is none that is asked in batches. StoreError: the outbox cannot be written.
        """
        if self.wanted.batch == "all" or (self.wanted.batch == "first" and cells[0].round_no == 1):
            await self._queue(plan, [make_request(plan, cell, gateway.endpoint) for cell in cells], gateway)

    async def queue_votes(self, plan: Plan, requests: Sequence[Request], gateway: ModelGateway) -> None:
        """Queues the votes on a round's texts; raises as ``queue_cells``."""
        if self.wanted.batch == "all" and not gateway.endpoint.decides:
            await self._queue(plan, requests, gateway)

    async def take_over(self, plan_id: str, client: SyncPrefectClient) -> None:
        """Takes over what a run of the same plan waited for whose process is gone.

        Raises:
            ModelBusyError: another run waits, or this one would pay once more for what is out.
        """
        if self.run is not None:
            return
        for run in await ask_outbox(self.settings, Outbox.find_runs, plan_id=plan_id):
            state, resumes = None, self.wanted.batch != "none"
            # Prefect does not know a run of another server, such as that of a plain command.
            with suppress(ObjectNotFound):
                state = client.read_flow_run(UUID(run.run_id)).state
            is_suspended = state is not None and state.is_paused()
            if is_suspended or (run.sent and not resumes):
                how = "goes on when it has come" if is_suspended else "was ended: one with --batch goes on in its place"
                raise ModelBusyError(
                    f"Run {run.run_id} waits for a provider's batch for the same samples of {run.handle}, and {how}. "
                    "'exemplars batches list' says how far that is. This run asked nothing",
                    run.run_id,
                )
            if resumes and self.run is None:
                await ask_outbox(self.settings, Outbox.hand_over, old=run.run_id, new=get_run_id())
                self.run = replace(run, run_id=get_run_id())
            else:
                await ask_outbox(self.settings, Outbox.end, run_id=run.run_id)

    async def finish(self) -> None:
        """Takes the run out of the outbox."""
        if self.run is not None:
            await ask_outbox(self.settings, Outbox.end, run_id=self.run.run_id)

    async def _queue(self, plan: Plan, requests: Sequence[Request], gateway: ModelGateway) -> None:
        lacking = gateway.find_unanswered(requests)
        lines = await ask_outbox(self.settings, Outbox.list_lines, plan_id=plan.plan_id)
        new = [request for request in lacking if request.key not in lines]
        if lacking and (self.run is None or (new and self.wanted.batch == "all")):
            # Lines may be out already, of a run that was cancelled, or of one on another machine.
            await self._put(plan, new, gateway)
            lines = await ask_outbox(self.settings, Outbox.list_lines, plan_id=plan.plan_id)
        if lines and (price := find_account(gateway.endpoint).price):
            gateway.budget.batch_prices[gateway.endpoint.name] = price
        found = [lines[request.key] for request in lacking if request.key in lines]
        if refused := [said for state, said in found if state == "refused"]:
            await self.finish()
            raise ProviderError(
                f"{gateway.endpoint.name}: this run's batch was not taken: {refused[0].rstrip('.')}. Nothing was paid "
                "for it: start the run again when that is mended, or without --batch"
            )
        if any(state in ("waits", "sent") for state, _ in found):
            raise BatchAwaited
        if live := [said for state, said in found if state == "live"]:
            calls = count_noun(len(live), "call")
            self.progress.report(Noticed(f"The batch did not answer {calls}, now asked live: {live[0]}"))

    async def _put(self, plan: Plan, requests: Sequence[Request], gateway: ModelGateway) -> None:
        """Puts the run into the outbox, and lines for requests, as many as the limits leave room for."""
        endpoint, budget = gateway.endpoint, gateway.budget
        place, writer = find_account(endpoint), BatchClient(endpoint, self.settings.call_timeout_seconds)
        priced = replace(writer.endpoint, price=place.price)
        asked = [
            QueuedRequest(item.key, await writer.write_body(item), find_ceiling(item, priced).usd) for item in requests
        ]
        if self.run is None:
            assert self.job is not None
            self.run = BatchRun(
                run_id=get_run_id(),
                plan_id=plan.plan_id,
                handle=plan.model.handle,
                effort=plan.level.effort,
                params=asdict(self.wanted),
                parent=flow_run.get_parent_flow_run_id(),
                inputs=write_job(self.job),
            )
        limits = budget.left_usd, budget.limit
        await ask_outbox(self.settings, Outbox.queue, self.run, place, asked, *limits)


async def open_batching(settings: Settings, wanted: RunRequest) -> Batching:
    """What the run asks by batches, and how far it is with that; where it waited, with the job that it goes on from."""
    run_id = get_run_id()
    if wanted.batch != "none" and (found := await ask_outbox(settings, Outbox.find_runs, run_id=run_id)):
        inputs = await ask_outbox(settings, Outbox.read_inputs, run_id=run_id)
        return Batching(settings, wanted, found[0], read_job(inputs))
    return Batching(settings, wanted)


async def wait_for_batch(batching: Batching, progress: Progress, here: bool) -> None:
    """Says on the run's page what it waits for, and returns when that has ended.

    Args:
        here: whether it waits in this process.

    Raises:
        prefect.exceptions.Pause: it does not: the run is to be suspended, with this message.
        RunInterruptedError: somebody has cancelled what it waits for.
    """
    run = await _find_waiting(batching)
    said = describe_waiting([run])
    get_run_logger().info("%s", said)
    await show_page(run.run_id, "verdict", f"# {said}\n", said)
    progress.report(StageBegun(f"{said}. {MAY_END}" if here else said))
    if not here:
        # It stands until the run goes on, while the page is written anew when the calls have gone.
        raise Pause(
            f"{count_noun(run.waits + run.sent, 'call')} wait for a provider's batch, which answers within a day. The "
            "run goes on by itself then. Under Artifacts, verdict: when they went"
        )
    await collect_here(batching.settings, [run.run_id], lambda text: progress.report(StageBegun(text)))
    await _find_waiting(batching)


async def suspend(said: str, is_child: bool) -> None:
    """Suspends this flow run until the collector, or the backfill that it is a child of, has it go on.

    It must have sent its last heartbeat: after one that comes later it would be taken for dead.

    Raises:
        prefect.exceptions.Pause: it is suspended. It returns where Prefect does not suspend it.
    """
    state: State[None] = Suspended(message=said)
    run_id = UUID(get_run_id())
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


async def _find_waiting(batching: Batching) -> BatchRun:
    """The run as it waits now; raises as ``wait_for_batch`` where it waits no more."""
    assert batching.run is not None
    found = await ask_outbox(batching.settings, Outbox.find_runs, plan_id=batching.run.plan_id)
    for run in found:
        if run.run_id == get_run_id():
            return run
    said = "What this run waited for was cancelled"
    if found:
        said = f"Run {found[0].run_id} was started for the same samples, and has what this one waited for"
    raise RunInterruptedError(f"{said}. {AGAIN}")


def _show_as_no_error(record: logging.LogRecord) -> bool:
    """Keeps a record; Prefect has it in red that a run which waits has not completed."""
    if record.getMessage().startswith("Finished in state Suspended("):
        record.levelno, record.levelname = logging.INFO, logging.getLevelName(logging.INFO)
    return True
