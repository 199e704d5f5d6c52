"""Events of a flow run that automations wait for: its heartbeat, and the first state of a scheduled one.

By the heartbeat those of the deploy step tell that its process is alive. Prefect sends one every 180 s where nobody
sets its variable, as in a script or a notebook that calls a flow: longer than the automations wait. So the flows send
their own, whoever calls them.
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
    """Inside the block, which gets the settings, this flow run logs as they say, and automations see that it lives."""
    ignore_closed_output()
    await release_events(get_run_logger())
    settings = read_settings()
    set_up_logs(settings.log_format)
    async with sending_heartbeats():
        yield settings


@asynccontextmanager
async def sending_heartbeats() -> AsyncIterator[None]:
    """Inside the block the flow run that this is called in sends a heartbeat at once and every 30 s.

    A thread sends them, so that one who keeps the event loop busy is not taken for dead.
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
    # One that came after the run's end would have the automations wait for the next.
    with repeating_in_thread(beat, HEARTBEAT_SECONDS):
        yield


def name_resources(run: FlowRun, flow_name: str) -> tuple[dict[str, str], dict[str, str]]:
    """A flow run, as an event has it for its resource, and its flow, as one related to it."""
    resource = {"prefect.resource.id": f"prefect.flow-run.{run.id}", "prefect.resource.name": run.name}
    flow = {"prefect.resource.id": f"prefect.flow.{run.flow_id}", "prefect.resource.role": "flow"}
    return resource, {**flow, "prefect.resource.name": flow_name}


async def release_events(logger: Logger) -> None:
    """Sends the event that stands for the state in which a schedule has made the run that calls this.

    Prefect's server (3.9.1) shows an event of a run to the automations when it has seen that of the state before, if
    that is less than five minutes old, and else a quarter of an hour later. For the state in which a schedule makes a
    run it sends none, so that the failure of a run that was due within five minutes would be reported late. An event
    goes by the id of its state; this one has the id that the others wait for.
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
