"""The flow ``catalogue``: examine all models, write their table, send the daily summary and update the forms."""

import asyncio
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

import httpx
from prefect import flow, get_run_logger
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowFilter, FlowRunFilter
from prefect.client.schemas.objects import State, StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.events import emit_event
from prefect.exceptions import ObjectNotFound
from prefect.runtime import flow_run
from prefect.states import Completed

from engine.catalogue.daily_summary import DAY, TroubledRun, describe_day
from engine.catalogue.page import describe_survey, survey_catalogue, write_page
from flows.deploy.automations import DAILY_SUMMARY, NIGHTS
from flows.deploy.deployments import offer_handles
from flows.deploy.unfinished_runs import FLOW_NAMES
from flows.run.labels import PART, STOPPED_AT_LIMIT, name_tag
from flows.run.page.artifacts import show_page
from flows.run.run_events import attending_flow

TROUBLED = [StateType.FAILED, StateType.CRASHED, StateType.CANCELLED]
# A due run that no worker has started for this time is late.
LATE = timedelta(minutes=15)
MAX_RUNS = 200


@flow(name="catalogue", flow_run_name="catalogue")
async def catalogue() -> State[None]:
    """Show all models at a glance: which need a person, why, and what to type. Changes no model."""
    logger = get_run_logger()
    async with attending_flow() as settings:
        with get_client(sync_client=True) as client:
            logger.info("The forms offer %s", await asyncio.to_thread(_offer_handles, client, settings.models_uri))
            models = await asyncio.to_thread(survey_catalogue, settings)
            now = datetime.now(UTC)
            last_sets = {
                name_tag(model.handle): max(run.attached_at for run in model.runs if run.attached_at)
                for model in models
                if model.sets
            }
            summary = describe_day(models, list(list_troubled(client, now, last_sets)), now)
    headline, sentence = describe_survey(models)
    logger.info("%s. %s", headline, sentence)
    await show_page(str(flow_run.get_id()), "catalogue", write_page(models), headline)
    # Prefect relates this run by itself. The automations of the deploy step send the summary, and alert if none comes.
    emit_event(DAILY_SUMMARY, {"prefect.resource.id": NIGHTS, "prefect.resource.name": "catalogue"}, payload=summary)
    return Completed(message=headline, data=None)


def list_troubled(
    client: SyncPrefectClient, now: datetime, last_sets: Mapping[str, datetime] = MappingProxyType({})
) -> Iterator[TroubledRun]:
    """Yield our runs that failed or stopped at a limit in the last day, or were due then and never begun.

    Leaves out parts of a backfill and runs that its limit stopped, which the backfill reports, and runs of a model that
    has had a set attached since.

    Args:
        last_sets: the time of each model's last attached set, by the model's tag.
    """
    day, due = {"after_": now - DAY, "before_": now}, {"after_": now - DAY, "before_": now - LATE}
    ended = FlowRunFilter(end_time=day, state={"type": {"any_": TROUBLED}})
    late = FlowRunFilter(expected_start_time=due, state={"type": {"any_": [StateType.SCHEDULED]}})
    ours, newest = FlowFilter(name={"any_": list(FLOW_NAMES)}), FlowRunSort.EXPECTED_START_TIME_DESC
    for run_filter in (ended, late):
        for run in client.read_flow_runs(flow_filter=ours, flow_run_filter=run_filter, sort=newest, limit=MAX_RUNS):
            state = run.state
            if state is None or PART in run.tags or (state.is_cancelled() and state.name != STOPPED_AT_LIMIT):
                continue
            is_notified = state.name == STOPPED_AT_LIMIT and run.parent_task_run_id is not None
            newer_sets = [last_sets[tag] for tag in run.tags if tag in last_sets]
            if is_notified or (run.end_time and any(run.end_time < attached_at for attached_at in newer_sets)):
                continue
            if state.is_final():
                yield TroubledRun(str(run.id), run.name, state.name or state.type.value, state.message or "")
            elif not run.run_count:
                yield TroubledRun(str(run.id), run.name, "not begun", f"due at {run.expected_start_time:%H:%M} UTC")


def _offer_handles(client: SyncPrefectClient, models_uri: str) -> str:
    """Update the handles in the forms and return a phrase on them; a script's server may lack the deployments."""
    try:
        return offer_handles(client, models_uri)
    except ObjectNotFound:
        return "nothing, since the deployments are not on this server"
    except httpx.HTTPError as error:
        return f"the same handles as before: {error}"
