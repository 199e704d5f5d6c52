"""A run at the price of a batch: it queues missing calls in the outbox, and waits until all of them have ended.

Then it restarts from the beginning, finds the received replies among the stored ones, and makes missing calls live.
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


class BatchAwaited(Exception):  # noqa: N818 (no error: the run resumes later)
    """Lines of the run's plan are open: the run cannot continue before they have ended."""


@dataclass(slots=True)
class Batching:
    """The batch calls of a run.

    Args:
        request: the run's request. Its ``batch`` says which calls go in batches: none (``none``), the cells of the
            first round, once (``first``), or the cells of each round and the votes on them, too (``all``).
        run: the run's entry in the outbox; None before it has queued anything.
        job: the inputs of the run's plan; at first None, unless the run resumes.
        progress: the progress of the run.
    """

    settings: Settings
    request: RunRequest
    run: BatchRun | None = None
    job: Job | None = None
    progress: Progress = field(default_factory=RunForecast)

    async def queue_cells(self, plan: Plan, cells: Sequence[Cell], gateway: ModelGateway) -> None:
        """Queue the calls of a round's cells without replies.

        Raises:
            BatchAwaited: lines are open. ProviderError: the provider refused a batch of them.
            InputError: the model does not support batches. StoreError: the outbox cannot be written.
        """
        if self.request.batch == "all" or (self.request.batch == "first" and cells[0].round_no == 1):
            await self._queue(plan, [make_request(plan, cell, gateway.endpoint) for cell in cells], gateway)

    async def queue_votes(self, plan: Plan, requests: Sequence[Request], gateway: ModelGateway) -> None:
        """Queue the votes on a round's texts; raises as ``queue_cells``."""
        if self.request.batch == "all" and not gateway.endpoint.decides:
            await self._queue(plan, requests, gateway)

    async def take_over(self, plan_id: str, client: SyncPrefectClient) -> None:
        """Take over the queued calls of a run of the same plan if its process is gone.

        Raises:
            ModelBusyError: another run waits, or this run would pay again for open calls.
        """
        if self.run is not None:
            return
        for run in await ask_outbox(self.settings, Outbox.find_runs, plan_id=plan_id):
            state, resumes = None, self.request.batch != "none"
            # Prefect does not know a run of another server, such as that of a plain command.
            with suppress(ObjectNotFound):
                state = client.read_flow_run(UUID(run.run_id)).state
            is_suspended = state is not None and state.is_paused()
            if is_suspended or (run.sent and not resumes):
                how = "resumes when it arrives" if is_suspended else "was ended: start one with --batch to resume it"
                raise ModelBusyError(
                    f"Run {run.run_id} waits for a provider's batch for the same samples of {run.handle}, and {how}. "
                    "'exemplars batches list' shows its progress. This run called no model",
                    run.run_id,
                )
            if resumes and self.run is None:
                await ask_outbox(self.settings, Outbox.hand_over, old=run.run_id, new=get_run_id())
                self.run = replace(run, run_id=get_run_id())
            else:
                await ask_outbox(self.settings, Outbox.end, run_id=run.run_id)

    async def finish(self) -> None:
        """Remove the run from the outbox."""
        if self.run is not None:
            await ask_outbox(self.settings, Outbox.end, run_id=self.run.run_id)

    async def _queue(self, plan: Plan, requests: Sequence[Request], gateway: ModelGateway) -> None:
        unanswered = gateway.find_unanswered(requests)
        lines = await ask_outbox(self.settings, Outbox.list_lines, plan_id=plan.plan_id)
        new = [request for request in unanswered if request.key not in lines]
        if unanswered and (self.run is None or (new and self.request.batch == "all")):
            # Lines may already be open, of a cancelled run or a run on another machine.
            await self._put(plan, new, gateway)
            lines = await ask_outbox(self.settings, Outbox.list_lines, plan_id=plan.plan_id)
        if lines and (price := find_account(gateway.endpoint).price):
            gateway.budget.batch_prices[gateway.endpoint.name] = price
        entries = [lines[request.key] for request in unanswered if request.key in lines]
        if refused := [message for state, message in entries if state == "refused"]:
            await self.finish()
            raise ProviderError(
                f"{gateway.endpoint.name}: this run's batch was not taken: {refused[0].rstrip('.')}. Nothing was paid "
                "for it: fix that and start the run again, or start it without --batch"
            )
        if any(state in ("waits", "sent") for state, _ in entries):
            raise BatchAwaited
        if live := [message for state, message in entries if state == "live"]:
            calls = count_noun(len(live), "call")
            self.progress.report(Noticed(f"The batch did not answer {calls}, now asked live: {live[0]}"))

    async def _put(self, plan: Plan, requests: Sequence[Request], gateway: ModelGateway) -> None:
        """Add the run to the outbox, with lines for as many requests as the cost limits allow."""
        endpoint, budget = gateway.endpoint, gateway.budget
        account, writer = find_account(endpoint), BatchClient(endpoint, self.settings.call_timeout_seconds)
        priced = replace(writer.endpoint, price=account.price)
        queued = [
            QueuedRequest(item.key, await writer.write_body(item), find_ceiling(item, priced).usd) for item in requests
        ]
        if self.run is None:
            assert self.job is not None
            self.run = BatchRun(
                run_id=get_run_id(),
                plan_id=plan.plan_id,
                handle=plan.model.handle,
                effort=plan.level.effort,
                params=asdict(self.request),
                parent=flow_run.get_parent_flow_run_id(),
                inputs=write_job(self.job),
            )
        limits = budget.left_usd, budget.limit
        await ask_outbox(self.settings, Outbox.queue, self.run, account, queued, *limits)


async def open_batching(settings: Settings, request: RunRequest) -> Batching:
    """Return the batch calls of this run; for a run that waited, with its entry in the outbox and the stored job."""
    run_id = get_run_id()
    if request.batch != "none" and (runs := await ask_outbox(settings, Outbox.find_runs, run_id=run_id)):
        inputs = await ask_outbox(settings, Outbox.read_inputs, run_id=run_id)
        return Batching(settings, request, runs[0], read_job(inputs))
    return Batching(settings, request)


async def wait_for_batch(batching: Batching, progress: Progress, wait_in_process: bool) -> None:
    """Show on the run's page which calls it waits for, and return when they have ended.

    Args:
        wait_in_process: whether to wait in this process.

    Raises:
        prefect.exceptions.Pause: with ``wait_in_process`` false; the caller must suspend the run, with this message.
        RunInterruptedError: somebody has cancelled the calls.
    """
    run = await _find_waiting(batching)
    summary = describe_waiting([run])
    get_run_logger().info("%s", summary)
    await show_page(run.run_id, "verdict", f"# {summary}\n", summary)
    progress.report(StageBegun(f"{summary}. {MAY_END}" if wait_in_process else summary))
    if not wait_in_process:
        # The message stays until the run resumes; the page is rewritten when the calls have been sent.
        raise Pause(
            f"{count_noun(run.waits + run.sent, 'call')} wait for a provider's batch, which answers within a day. The "
            "run then resumes by itself. Under Artifacts, verdict: when they were sent"
        )
    await collect_here(batching.settings, [run.run_id], lambda text: progress.report(StageBegun(text)))
    await _find_waiting(batching)


async def suspend(message: str, is_child: bool) -> None:
    """Suspend this flow run until the collector, or its parent backfill, resumes it.

    The run must have sent its last heartbeat: after a later one it would be taken for dead.

    Raises:
        prefect.exceptions.Pause: the run is suspended. The function returns if Prefect does not suspend it.
    """
    state: State[None] = Suspended(message=message)
    run_id = UUID(get_run_id())
    logging.getLogger("prefect.flow_runs").addFilter(_show_as_no_error)
    async with get_client() as client:
        await keep_collecting(client)
        if is_child:
            # Prefect does not suspend runs without a deployment.
            await client.set_flow_run_state(run_id, state, force=True)
            raise Pause(state=state)
        with suppress(Abort):
            answer = await propose_state(client, state, flow_run_id=run_id)
            if answer.is_paused():
                raise Pause(state=answer)


async def _find_waiting(batching: Batching) -> BatchRun:
    """Return the run's present entry; raises as ``wait_for_batch`` if it no longer waits."""
    assert batching.run is not None
    runs = await ask_outbox(batching.settings, Outbox.find_runs, plan_id=batching.run.plan_id)
    for run in runs:
        if run.run_id == get_run_id():
            return run
    reason = "The batch calls of this run were cancelled"
    if runs:
        reason = f"Run {runs[0].run_id} was started for the same samples, and took over this run's batch calls"
    raise RunInterruptedError(f"{reason}. {AGAIN}")


def _show_as_no_error(record: logging.LogRecord) -> bool:
    """Return True, with the record lowered to INFO: Prefect would show a waiting run as an error, in red."""
    if record.getMessage().startswith("Finished in state Suspended("):
        record.levelno, record.levelname = logging.INFO, logging.getLevelName(logging.INFO)
    return True
