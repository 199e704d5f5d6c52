"""The flow ``backfill``: synthesis for many models, one run each with its own run id, in shared processes."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any
from uuid import UUID

import httpx
from prefect import flow, get_run_logger
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.exceptions import Abort
from prefect.runtime import deployment, flow_run
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
from prefect.states import Cancelled, Completed, Failed
from pydantic import Field

from engine.backfills.ledger import UNFINISHED_STATES, Ledger, ModelRow, locate_ledger, read_ledger, write_ledger
from engine.backfills.page import describe_backfill, describe_end, write_backfill_page
from engine.backfills.targets import BackfillRequest, list_selected
from engine.domain.model import SynthType
from engine.errors import BackfillError, RunInterruptedError, SharedBudgetError, StoreError
from engine.settings import Settings
from engine.text.formatting import capitalise, count_noun
from flows.backfills.parts import PartDispatcher
from flows.backfills.runs import make_shared_budget, open_backfill_resources, open_children
from flows.backfills.worker import BackfillWorker
from flows.batches.collect import MAY_END, collect_here
from flows.deploy.unfinished_runs import end_gone_runs
from flows.run.cancellation import CancellationWatcher, explain_cancelled
from flows.run.labels import STOPPED_AT_LIMIT, LeaseLabels
from flows.run.lease.holders import name_process
from flows.run.page.artifacts import repeating, show
from flows.run.parameters import Batch, ChosenEffort, Glob, Handles, MaxCost, Namespace, PartSize, PerPole
from flows.run.run_events import attending_flow
from flows.synthesize import synthesize

# Prefect's runner sets this variable to the id of the flow run that it started the process for.
FLOW_RUN = "PREFECT__FLOW_RUN_ID"
# Prefect would send a heartbeat for each child run; ours suffices. Rebuilding Prefect's settings takes 20 ms of CPU.
NO_HEARTBEATS = {PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}
# On shared cores, a run that a person waits for gets nine tenths of the contested CPU time.
NICENESS = 10
PUBLISH_SECONDS = 5.0


@flow(name="backfill", flow_run_name="backfill {synth_type}")
async def backfill(
    handles: Handles = None,
    namespace: Namespace = None,
    glob: Glob = None,
    only_lacking: bool = False,
    synth_type: SynthType = "from_traits",
    effort: ChosenEffort = None,
    force: bool = False,
    strict: bool = False,
    models_at_once: Annotated[int, Field(ge=1, le=64)] = 8,
    part_size: PartSize = None,
    max_cost_usd: MaxCost = None,
    per_pole: PerPole = None,
    refresh: bool = False,
    batch: Batch = "none",
) -> dict[str, int] | State[Any]:
    """Generate labelled samples for many models, one run each; models that already have them are skipped.

    Args:
        handles: Models by name, such as u22a8.technical-writing. Handles, namespace and glob add up.
        namespace: All models of a namespace, such as u22a8.
        glob: All models with a handle that matches a pattern; * stands for any characters, as in u22a8.*-report.
        only_lacking: Generate only missing samples. Selects, from the named models or from all, drafts in which some
            pole of a trait has fewer attached samples than the effort asks for; each pole gets what it is missing.
        synth_type: What the samples are for: from_traits, diversify or enrich, as in synthesize.
        effort: How many samples for each pole of each trait, by which synth model, as in synthesize.
        force: Include models that have a set of this synth type and effort for their present definition. Cannot be
            combined with refresh.
        strict: Attach nothing for a model if the poles of a trait are inseparable, as in synthesize.
        models_at_once: Number of models that one process works on at a time.
        part_size: Number of models in a part; each part is a run on the work pool that the next free worker takes.
            Without it one process does all models.
        max_cost_usd: Cost limit of all models together, in dollars; the effort's limit also applies to each model.
        per_pole: How many samples for each pole of each trait, in place of the effort's number.
        refresh: Select drafts, from the named models or from all, that have sets made for an older definition; with
            only_lacking, in addition to its drafts. Such sets do not count, and the new set replaces them. A changed
            description, trait, brief, scenario, text, language or question changes the definition; a sample does not.
        batch: Whether calls go to the provider in files, which it answers within a day at about half the price. first:
            calls of the first round. all: further rounds and votes too. Waiting models resume by themselves.
    """
    # The parameters are the fields of a request.
    params: dict[str, Any] = dict(locals())
    if has_process := FLOW_RUN in os.environ:
        # Yield the CPU to other processes; a process cannot lower its niceness again.
        os.nice(NICENESS)
    async with attending_flow() as settings:
        if not has_process:
            # Nothing watches a command on a temporary server: if it is killed, the next command ends its runs.
            with get_client(sync_client=True) as server:
                await asyncio.to_thread(end_gone_runs, server)
        earlier = read_ledger(settings.samples_uri, str(flow_run.get_id()))
        runs = {row.handle: row.run_id for row in earlier.rows if row.run_id}
        request = BackfillRequest(**{**params, "handles": tuple(handles or ()), "done": frozenset(runs.values())})
        # The ledger keeps the run ids of earlier starts, for a third start if this one is killed.
        ledger = Ledger(ModelRow(handle, run_id=runs.get(handle)) for handle in list_selected(settings, request))
        get_run_logger().info("%s", count_noun(len(ledger.rows), "model"))
        stopped = await work_through(settings, request, ledger, earlier.spent_usd or 0.0)
    return conclude(ledger, stopped)


async def work_through(
    settings: Settings, request: BackfillRequest, ledger: Ledger, spent_usd: float
) -> BaseException | None:
    """Work on all models and return the error that stopped the backfill early, if any."""
    logger, waits = get_run_logger(), request.batch != "none"
    budget = make_shared_budget(settings, request.max_cost_usd, spent_usd, waits)
    async with get_client() as client, open_backfill_resources(settings, request, budget, logger) as resources:
        # The label tells the deploy step whether the process is gone.
        labels = LeaseLabels("", datetime.now(UTC), name_process())
        await client.update_flow_run_labels(UUID(str(flow_run.get_id())), dict(labels.to_labels()))
        async with open_children(client, synthesize, len(ledger.rows)) as children:
            worker, uri = BackfillWorker(request, ledger, resources, children), settings.samples_uri
            async with publish_ledger(uri, ledger, worker.record_progress):
                with watch_for_end(resources.watcher, worker), temporary_settings(NO_HEARTBEATS):
                    if request.part_size is None:
                        await worker.work(ledger.rows)
                        await wait_for_batches(settings, ledger, worker)
                    else:
                        parts = PartDispatcher(client, uri, worker, ledger, children.task_run_id, budget, logger)
                        await parts.work(request, request.part_size)
    return worker.stopped


async def wait_for_batches(settings: Settings, ledger: Ledger, worker: BackfillWorker) -> None:
    """Collect batch replies in this process if it has no deployment: nothing else would resume the waiting models."""
    while deployment.get_id() is None and (rows := ledger.list_in("in a batch")) and not worker.stopped:
        worker.say(MAY_END)
        ready = await collect_here(settings, [str(row.run_id) for row in rows], worker.say)
        await worker.work([row for row in rows if row.run_id in ready])


@asynccontextmanager
async def publish_ledger(samples_uri: str, ledger: Ledger, update: Callable[[], None]) -> AsyncIterator[None]:
    """Inside the block, keep the flow run's page and the ledger file up to date; write both once more at the end.

    Args:
        update: called before each write, to bring the ledger up to date.
    """
    run_id, shown = str(flow_run.get_id()), ""

    async def publish() -> None:
        nonlocal shown
        update()
        page, summary = write_backfill_page(ledger, locate_ledger(samples_uri, run_id)), describe_backfill(ledger)
        if page == shown:
            return
        # An unavailable server or store must not fail the backfill here; writing the sets would report the store.
        try:
            await asyncio.to_thread(write_ledger, samples_uri, run_id, ledger)
            await show(run_id, "progress", 100 * round(ledger.share, 3), summary[0])
            await show(run_id, "verdict", page, "\n\n".join(summary))
            shown = page
        except (StoreError, httpx.HTTPError) as error:
            get_run_logger().warning("The page of this backfill was not updated: %s", error)

    try:
        async with repeating(publish, PUBLISH_SECONDS):
            yield
    finally:
        ledger.ended = True
        await publish()


@contextmanager
def watch_for_end(watcher: CancellationWatcher, worker: BackfillWorker) -> Iterator[None]:
    """Inside the block, stop the worker if somebody ends this run or cancels its parent run."""
    stop, parent = partial(worker.stop, at_once=True), flow_run.get_parent_flow_run_id()
    watching_parent = watcher.watching(UUID(parent), stop, explain_cancelled) if parent else nullcontext()
    with watcher.watching(UUID(str(flow_run.get_id())), stop), watching_parent:
        yield


def conclude(ledger: Ledger, stopped: BaseException | None) -> dict[str, int] | State[Any]:
    """Return the number of models in each state if nothing is left to do, with a sentence as the state's message.

    Raises:
        Abort: according to Prefect, the run has ended.
    """
    counts = {str(state): count for state, count in ledger.count().items()}
    sentence = describe_end(ledger, stopped)
    get_run_logger().info("%s", sentence)
    if isinstance(stopped, Abort):
        raise stopped
    if isinstance(stopped, RunInterruptedError):
        return Cancelled(message=sentence)
    if isinstance(stopped, SharedBudgetError):
        return Cancelled(name=STOPPED_AT_LIMIT, message=sentence, data=SharedBudgetError(sentence))
    if ledger.list_in(*UNFINISHED_STATES):
        # Not raised, since Prefect would put its own words before the message.
        return Failed(message=sentence, data=BackfillError(sentence))
    return Completed(message=capitalise(describe_backfill(ledger)[0]), data=counts)
