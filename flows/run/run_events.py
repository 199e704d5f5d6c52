"""Events of a flow run that automations wait for: its heartbeat, and the first state of a scheduled run.

The automations of the deploy step use the heartbeat to see that a process is alive. Prefect sends one every 180 s if
its variable is not set, for example in a script or a notebook. That is longer than the automations wait, so the flows
always send heartbeats themselves.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from prefect import get_run_logger
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.context import FlowRunContext
from prefect.events import emit_event

from engine.settings import Settings, read_settings
from engine.system.concurrency import repeating_in_thread
from flows.observability.logs import Logger, ignore_closed_output, set_up_logs

HEARTBEAT = "prefect.flow-run.heartbeat"
HEARTBEAT_SECONDS = 30
SCHEDULED = "exemplars.flow-run.scheduled"


@asynccontextmanager
async def attending_flow() -> AsyncIterator[Settings]:
    """Yield the settings, with logs set up by them, and send heartbeats of this flow run during the block."""
    ignore_closed_output()
    await release_events(get_run_logger())
    settings = read_settings()
    set_up_logs(settings.log_format)
    async with sending_heartbeats():
        yield settings


@asynccontextmanager
async def sending_heartbeats() -> AsyncIterator[None]:
    """Send a heartbeat of the current flow run at once, and every 30 s during the block.

    A thread sends them, so that a run with a busy event loop does not count as dead.
    """
    context = FlowRunContext.get()
    assert context is not None
    assert context.flow is not None
    assert context.flow_run is not None
    run = context.flow_run
    resource, flow = name_resources(run, context.flow.name)

    def beat() -> None:
        emit_event(HEARTBEAT, resource, related=[flow])

    beat()
    # A heartbeat after the run's end would make the automations wait for the next one.
    with repeating_in_thread(beat, HEARTBEAT_SECONDS):
        yield


def name_resources(run: FlowRun, flow_name: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return a flow run as the resource of an event, and its flow as a related resource."""
    resource = {"prefect.resource.id": f"prefect.flow-run.{run.id}", "prefect.resource.name": run.name}
    flow = {"prefect.resource.id": f"prefect.flow.{run.flow_id}", "prefect.resource.role": "flow"}
    return resource, {**flow, "prefect.resource.name": flow_name}


async def release_events(logger: Logger) -> None:
    """Send the event of the scheduled state of the current run, if a schedule created the run.

    Prefect's server (3.9.1) passes an event of a run to the automations once it has seen the event of the previous
    state, if that is less than five minutes old, and otherwise a quarter of an hour later. It sends no event for the
    state in which a schedule creates a run. So the failure of a run that was due within five minutes would be reported
    late. An event's id is the id of its state; this event has the id that the others wait for.
    """
    context = FlowRunContext.get()
    run = context.flow_run if context else None
    if run is None or not run.auto_scheduled or run.run_count > 1:
        return
    try:
        async with get_client() as client:
            states = await client.read_flow_run_states(run.id)
        first = min(states, key=lambda state: state.timestamp)
        emit_event(SCHEDULED, name_resources(run, "")[0], occurred=first.timestamp, id=first.id)
    except httpx.HTTPError as error:
        logger.warning("Automations may see this run a quarter of an hour late: %s", error)
