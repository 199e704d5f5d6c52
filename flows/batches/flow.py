"""The flow ``batches``: one pass over all batches, after which the runs that waited for them go on."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from prefect import flow, get_run_logger
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterId,
    FlowRunFilterParentTaskRunId,
    FlowRunFilterState,
    FlowRunFilterStateType,
    FlowRunFilterTags,
)
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.states import Completed

from engine.llm.batches.outbox import BatchRun, Outbox
from engine.settings import Settings
from engine.text.formatting import capitalise, count_noun
from flows.batches.collect import CLOCK, collect_once, describe_waiting, keep_collecting
from flows.run.labels import LIVE_TYPES, PART
from flows.run.page.artifacts import show_page
from flows.run.run_events import attending_flow

PAGE = 200
# How long the outbox keeps a run that Prefect does not know.
FORGOTTEN_SECONDS = 7 * 86_400.0
# A backfill queues its models' calls one after the other: they are to go in one file. A run of its own need not wait.
QUIET_SECONDS = 240.0
BACKFILL, PARTS_QUEUE = "backfill/on-demand", "parts"


@flow(name="batches", flow_run_name="collect")
async def batches() -> State[Any]:
    """Sends the calls that wait for a batch, takes in what came, and has the runs go on that waited for it."""
    logger = get_run_logger()
    async with attending_flow() as settings, get_client() as client:
        waiting = await _drop_ended(settings, client)
        unsent = [run for run in waiting if _count(settings, run)["waits"]]
        backfills = await _read_parents(client, unsent)
        told = await collect_once(settings, 0.0 if all(map(_is_over, backfills.values())) else QUIET_SECONDS)
        for run in unsent:
            if not _count(settings, run)["waits"]:
                said = await asyncio.to_thread(describe_waiting, settings, run.plan_id)
                await show_page(run.run_id, "verdict", f"# {said}\n", said)
        for line in told.said:
            logger.info("%s", line)
        woken = await _wake(settings, client)
        if not waiting and not told.is_open:
            await keep_collecting(client, on=False)
            if _read_runs(settings):
                # One began to wait meanwhile.
                await keep_collecting(client)
    return Completed(message=capitalise(f"{told}. {count_noun(woken, 'run')} went on"))


async def _drop_ended(settings: Settings, client: PrefectClient) -> list[BatchRun]:
    """Takes the runs out of the outbox that are over by what Prefect says; the others."""
    runs = _read_runs(settings)
    states = await _read_flow_runs(client, [run.run_id for run in runs])
    # Those that Prefect does not know may be of a plain command, with a server of its own.
    old = CLOCK() - FORGOTTEN_SECONDS
    is_over = {
        run.run_id: run.queued_at < old if (found := states.get(run.run_id)) is None else _is_over(found)
        for run in runs
    }
    with Outbox(settings.replies_place) as outbox:
        for run_id in (run_id for run_id, over in is_over.items() if over):
            outbox.end(run_id)
    return [run for run in runs if not is_over[run.run_id]]


async def _wake(settings: Settings, client: PrefectClient) -> int:
    """Has the suspended runs go on none of whose lines is out; how many."""
    with Outbox(settings.replies_place) as outbox:
        ready = {run.run_id: run for run in outbox.list_ready()}
    found, parents = await _read_flow_runs(client, list(ready)), await _read_parents(client, list(ready.values()))
    woken = 0
    children: dict[str | None, list[FlowRun]] = defaultdict(list)
    for run_id, run in found.items():
        if run.state is None or not run.state.is_paused():
            continue
        if run.deployment_id is not None:
            await client.resume_flow_run(run.id)
            woken += 1
        else:
            children[ready[run_id].parent].append(run)
    for parent_id, runs in children.items():
        parent = parents.get(str(parent_id))
        # The process of a plain command has them go on itself.
        if parent is None or parent.deployment_id is not None or _is_over(parent):
            woken += await _start_part(client, parent, runs)
    return woken


async def _start_part(client: PrefectClient, parent: FlowRun | None, runs: Sequence[FlowRun]) -> int:
    """Has a new part of their backfill go on with model runs, under their own ids; with how many."""
    # What a part has left waiting goes on in another part of the same backfill, under the limit of the whole.
    is_part = parent is not None and PART in parent.tags
    task_run_id = parent.parent_task_run_id if parent and is_part else runs[0].parent_task_run_id
    wanted = FlowRunFilter(
        parent_task_run_id=FlowRunFilterParentTaskRunId(any_=[task_run_id] if task_run_id else []),
        tags=FlowRunFilterTags(all_=[PART]),
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType(name) for name in LIVE_TYPES])),
    )
    # One that was started by an earlier pass takes them up one after the other.
    live = await client.read_flow_runs(flow_run_filter=wanted, limit=PAGE)
    taken = {handle for part in live for handle in part.parameters["handles"] or ()}
    handles = sorted({str(run.parameters["handle"]) for run in runs} - taken)
    if not handles:
        return 0
    deployment = await client.read_deployment_by_name(BACKFILL)
    alike = {name: value for name, value in runs[0].parameters.items() if name not in ("handle", "review")}
    whole = {name: parent.parameters.get(name) for name in ("max_cost_usd", "models_at_once")} if parent else {}
    given = {name: value for name, value in whole.items() if value is not None}
    await client.create_flow_run_from_deployment(
        deployment.id,
        parameters={**alike, **given, "handles": handles},
        name=f"after a batch: {count_noun(len(handles), 'model')}",
        tags=[PART],
        parent_task_run_id=task_run_id,
        work_queue_name=PARTS_QUEUE,
    )
    return len(handles)


def _count(settings: Settings, run: BatchRun) -> Counter[str]:
    with Outbox(settings.replies_place) as outbox:
        return outbox.count_lines(run.plan_id)


def _read_runs(settings: Settings) -> list[BatchRun]:
    with Outbox(settings.replies_place) as outbox:
        return outbox.find_runs()


async def _read_parents(client: PrefectClient, runs: Sequence[BatchRun]) -> dict[str, FlowRun]:
    return await _read_flow_runs(client, list({run.parent for run in runs if run.parent}))


async def _read_flow_runs(client: PrefectClient, run_ids: Sequence[str]) -> dict[str, FlowRun]:
    """The flow runs of these ids that Prefect knows."""
    found: dict[str, FlowRun] = {}
    for begin in range(0, len(run_ids), PAGE):
        wanted = FlowRunFilter(id=FlowRunFilterId(any_=[UUID(run_id) for run_id in run_ids[begin : begin + PAGE]]))
        found |= {str(run.id): run for run in await client.read_flow_runs(flow_run_filter=wanted, limit=PAGE)}
    return found


def _is_over(run: FlowRun) -> bool:
    return run.state is not None and run.state.is_final()
