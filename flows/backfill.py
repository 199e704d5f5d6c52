"""Synthesize over many models: one run a model, each with its own run id, in processes that they share."""

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

# Where Prefect's runner has put the id of the flow run that a process is for.
FLOW_RUN = "PREFECT__FLOW_RUN_ID"
# Of Prefect's own for each run, which sends ours: to make its settings anew takes 20 ms of the processor.
NO_HEARTBEATS = {PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}
# A run that somebody waits for, on the same cores, gets nine tenths of what both want.
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
    """Makes labelled samples for many models, one run each; a model that has them already is passed over.

    Args:
        handles: Models by name, such as u22a8.technical-writing. Handles, namespace and glob add up.
        namespace: All models of a namespace, such as u22a8.
        glob: All models whose handle fits a pattern: * stands for any letters, as in u22a8.*-report.
        only_lacking: Fills up. Of those, or where nothing is named of all models, only drafts in which some pole of a
            trait has fewer attached samples than the effort asks for, and of each pole only so many as it lacks.
        synth_type: What the samples are for: from_traits, diversify or enrich, as in synthesize.
        effort: How many samples for each pole of each trait, by which synth model, as in synthesize.
        force: Also models that have a set of this synth type and effort for their definition as it is now. Not
            beside refresh.
        strict: Attaches nothing of a model where nothing tells the poles of a trait apart, as in synthesize.
        models_at_once: How many models are worked on at a time in one process.
        part_size: One process does all, or the models are handed out in parts of so many, each a run on the work pool
            that the next free worker takes.
        max_cost_usd: What all models together may cost, in dollars; each has its effort's own limit besides.
        per_pole: How many samples for each pole of each trait, in place of the effort's number.
        refresh: Only drafts, of those that are named or of all, that have sets made for an older definition; with
            only_lacking these too. Those sets count as gone, and go when the new one is attached. Another description,
            trait, brief, scenario, text, language or question makes another definition; another sample does not.
        batch: Whether calls go to the provider in files, which answers within a day and takes about half the price.
            first: those of the first round. all: further rounds and votes too. Models wait meanwhile, and go on by
            themselves.
    """
    # The parameters are the fields of a request.
    asked: dict[str, Any] = dict(locals())
    if has_process := FLOW_RUN in os.environ:
        # Others of this machine go first: it cannot be undone.
        os.nice(NICENESS)
    async with attending_flow() as settings:
        if not has_process:
            # A command on a temporary server is watched by nobody: where it was killed, the next one ends its runs.
            with get_client(sync_client=True) as server:
                await asyncio.to_thread(end_gone_runs, server)
        earlier = read_ledger(settings.samples_uri, str(flow_run.get_id()))
        runs = {row.handle: row.run_id for row in earlier.rows if row.run_id}
        request = BackfillRequest(**{**asked, "handles": tuple(handles or ()), "done": frozenset(runs.values())})
        # What an earlier start of this run has made is known to a third one too, whenever the second may die.
        ledger = Ledger(ModelRow(handle, run_id=runs.get(handle)) for handle in list_selected(settings, request))
        get_run_logger().info("%s", count_noun(len(ledger.rows), "model"))
        stopped = await work_through(settings, request, ledger, earlier.spent_usd or 0.0)
    return conclude(ledger, stopped)


async def work_through(
    settings: Settings, request: BackfillRequest, ledger: Ledger, spent_usd: float
) -> BaseException | None:
    """Works on all models; what made it stop before its end, if something did."""
    logger, waits = get_run_logger(), request.batch != "none"
    budget = make_shared_budget(settings, request.max_cost_usd, spent_usd, waits)
    async with get_client() as client, open_backfill_resources(settings, request, budget, logger) as resources:
        # By which the deploy step sees whether the process is gone.
        mark = LeaseLabels("", datetime.now(UTC), name_process())
        await client.update_flow_run_labels(UUID(str(flow_run.get_id())), dict(mark.to_labels()))
        async with open_children(client, synthesize, len(ledger.rows)) as children:
            worker, place = BackfillWorker(request, ledger, resources, children), settings.samples_uri
            async with publish_ledger(place, ledger, worker.record_progress):
                with watch_for_end(resources.watcher, worker), temporary_settings(NO_HEARTBEATS):
                    if request.part_size is None:
                        await worker.work(ledger.rows)
                        await wait_for_batches(settings, ledger, worker)
                    else:
                        parts = PartDispatcher(client, place, worker, ledger, children.task_run_id, budget, logger)
                        await parts.work(request, request.part_size)
    return worker.stopped


async def wait_for_batches(settings: Settings, ledger: Ledger, worker: BackfillWorker) -> None:
    """Collects what models wait for in this process, where it has no deployment: nothing else would wake them."""
    while deployment.get_id() is None and (rows := ledger.list_in("in a batch")) and not worker.stopped:
        worker.say(MAY_END)
        ready = await collect_here(settings, [str(row.run_id) for row in rows], worker.say)
        await worker.work([row for row in rows if row.run_id in ready])


@asynccontextmanager
async def publish_ledger(samples_uri: str, ledger: Ledger, update: Callable[[], None]) -> AsyncIterator[None]:
    """Inside the block the page of this flow run and the ledger's file follow the ledger; both once more at the end.

    Args:
        update: brings the ledger up to date.
    """
    run_id, shown = str(flow_run.get_id()), ""

    async def publish() -> None:
        nonlocal shown
        update()
        page, words = write_backfill_page(ledger, locate_ledger(samples_uri, run_id)), describe_backfill(ledger)
        if page == shown:
            return
        # A server that does not answer, or a store that takes nothing, is no reason to fail: writing the sets would.
        try:
            await asyncio.to_thread(write_ledger, samples_uri, run_id, ledger)
            await show(run_id, "progress", 100 * round(ledger.share, 3), words[0])
            await show(run_id, "verdict", page, "\n\n".join(words))
            shown = page
        except (StoreError, httpx.HTTPError) as error:
            get_run_logger().warning("The page of this backfill was not brought up to date: %s", error)

    try:
        async with repeating(publish, PUBLISH_SECONDS):
            yield
    finally:
        ledger.ended = True
        await publish()


@contextmanager
def watch_for_end(watcher: CancellationWatcher, worker: BackfillWorker) -> Iterator[None]:
    """Inside the block the worker stops where somebody ends this run, or cancels the run that handed it out."""
    stop, parent = partial(worker.stop, at_once=True), flow_run.get_parent_flow_run_id()
    of_parent = watcher.watching(UUID(parent), stop, explain_cancelled) if parent else nullcontext()
    with watcher.watching(UUID(str(flow_run.get_id())), stop), of_parent:
        yield


def conclude(ledger: Ledger, stopped: BaseException | None) -> dict[str, int] | State[Any]:
    """How many models are in each state, where nothing is left to do; the state's message says it in a sentence.

    Raises:
        Abort: the run is over by what Prefect says.
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
        # Not raised, for Prefect would put words of its own before the message.
        return Failed(message=sentence, data=BackfillError(sentence))
    return Completed(message=capitalise(describe_backfill(ledger)[0]), data=counts)
