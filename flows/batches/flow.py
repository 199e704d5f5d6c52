"""The flow ``batches``: one pass over all batches, which resumes the runs that no longer have to wait."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from prefect import flow, get_run_logger
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.objects import FlowRun, State
from prefect.states import Completed

from engine.llm.batches.outbox import DAY_SECONDS, BatchRun, Outbox
from engine.settings import Settings
from engine.text.formatting import capitalise, count_noun
from flows.batches.collect import CLOCK, ask_outbox, collect_once, describe_waiting, keep_collecting
from flows.run.flow_runs import read_runs
from flows.run.labels import LIVE_TYPES, PART
from flows.run.page.artifacts import show_page
from flows.run.run_events import attending_flow

# Time for which the outbox keeps a run that Prefect does not know.
FORGOTTEN_SECONDS = 7 * DAY_SECONDS
# A backfill queues its models' calls one after another; for up to this time they wait for each other, to share a file.
MOST_COMPANY_SECONDS = 3600.0
BACKFILL, PARTS_QUEUE = "backfill/on-demand", "parts"


@flow(name="batches", flow_run_name="collect")
async def batches() -> State[Any]:
    """Send the calls that wait for a batch, store the received replies, and resume the runs that waited for them."""
    logger = get_run_logger()
    async with attending_flow() as settings, get_client() as client:
        runs, known = await _drop_ended(settings, client)
        unsent = {run.run_id: run for run in runs if run.waits}
        result = await collect_once(settings, may_send(list(unsent.values()), known, CLOCK()))
        runs = await ask_outbox(settings, Outbox.find_runs)
        for run in runs:
            if run.run_id in unsent and not run.waits:
                summary = describe_waiting([run])
                await show_page(run.run_id, "verdict", f"# {summary}\n", summary)
        for line in result.problems:
            logger.info("%s", line)
        woken = await _wake(client, [run for run in runs if run.is_ready])
        if not runs and not result.is_open:
            await keep_collecting(client, on=False)
            if await ask_outbox(settings, Outbox.find_runs):
                # A run began to wait during this pass.
                await keep_collecting(client)
    return Completed(message=capitalise(f"{result}. {count_noun(woken, 'run')} resumed"))


def may_send(unsent: Sequence[BatchRun], known: Mapping[str, FlowRun], now: float) -> bool:
    """Return whether to send the lines of waiting runs: not while their backfill may still queue others.

    Args:
        known: the backfills, by run id.
        now: the time in seconds since 1970.
    """
    is_queueing = any(not _is_over(known[run.parent]) for run in unsent if run.parent and run.parent in known)
    return not is_queueing or min(run.queued_at for run in unsent) < now - MOST_COMPANY_SECONDS


async def _drop_ended(settings: Settings, client: PrefectClient) -> tuple[list[BatchRun], dict[str, FlowRun]]:
    """Remove runs from the outbox that have ended in Prefect; return the others and all known flow runs."""
    runs, kept = await ask_outbox(settings, Outbox.find_runs), list[BatchRun]()
    known = await _read_flow_runs(client, runs)
    for run in runs:
        flow_run = known.get(run.run_id)
        # A run that Prefect does not know may belong to a plain command, which has its own server.
        if run.queued_at < CLOCK() - FORGOTTEN_SECONDS if flow_run is None else _is_over(flow_run):
            await ask_outbox(settings, Outbox.end, run_id=run.run_id)
        else:
            kept.append(run)
    return kept, known


async def _wake(client: PrefectClient, ready: Sequence[BatchRun]) -> int:
    """Resume the suspended runs among these; return their number."""
    known, woken = await _read_flow_runs(client, ready), 0
    children: dict[str | None, list[FlowRun]] = defaultdict(list)
    for run in ready:
        flow_run = known.get(run.run_id)
        if flow_run is None or flow_run.state is None or not flow_run.state.is_paused():
            continue
        if flow_run.deployment_id is not None:
            await client.resume_flow_run(flow_run.id)
            woken += 1
        else:
            children[run.parent].append(flow_run)
    for parent_id, runs in children.items():
        parent = known.get(str(parent_id))
        # The process of a plain command resumes its own children.
        if parent is None or parent.deployment_id is not None or _is_over(parent):
            woken += await _start_part(client, parent, runs)
    return woken


async def _start_part(client: PrefectClient, parent: FlowRun | None, runs: Sequence[FlowRun]) -> int:
    """Start a new part of the backfill that resumes model runs under their own ids; return their number."""
    # Waiting runs of a part resume in another part of the same backfill, under the limit of the whole backfill.
    is_part = parent is not None and PART in parent.tags
    task_run_id = parent.parent_task_run_id if parent and is_part else runs[0].parent_task_run_id
    siblings = {"parent_task_run_id": {"any_": [task_run_id] if task_run_id else []}, "tags": {"all_": [PART]}}
    live_siblings = FlowRunFilter.model_validate(siblings | {"state": {"type": {"any_": LIVE_TYPES}}})
    # A part that an earlier pass started resumes its runs one after another.
    live = await read_runs(client, live_siblings)
    taken = {handle for part in live for handle in part.parameters["handles"] or ()}
    handles = sorted({str(run.parameters["handle"]) for run in runs} - taken)
    if not handles:
        return 0
    deployment = await client.read_deployment_by_name(BACKFILL)
    shared = {name: value for name, value in runs[0].parameters.items() if name not in ("handle", "review")}
    limits = {name: parent.parameters.get(name) for name in ("max_cost_usd", "models_at_once")} if parent else {}
    given = {name: value for name, value in limits.items() if value is not None}
    await client.create_flow_run_from_deployment(
        deployment.id,
        parameters={**shared, **given, "handles": handles},
        name=f"after a batch: {count_noun(len(handles), 'model')}",
        tags=[PART],
        parent_task_run_id=task_run_id,
        work_queue_name=PARTS_QUEUE,
    )
    return len(handles)


async def _read_flow_runs(client: PrefectClient, runs: Sequence[BatchRun]) -> dict[str, FlowRun]:
    run_ids = sorted({run.run_id for run in runs} | {run.parent for run in runs if run.parent})
    by_id = FlowRunFilter.model_validate({"id": {"any_": run_ids}})
    return {str(run.id): run for run in await read_runs(client, by_id)}


def _is_over(run: FlowRun) -> bool:
    return run.state is not None and run.state.is_final()
