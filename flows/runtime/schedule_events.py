"""Sends the one event of a scheduled run that Prefect leaves out and its automations wait for."""

import logging

import httpx
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.context import FlowRunContext
from prefect.events import emit_event

EVENT = "exemplars.flow-run.scheduled"
Logger = logging.Logger | logging.LoggerAdapter[logging.Logger]


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
        await _send_first_state(run)
    except httpx.HTTPError as error:
        logger.warning("Automations may see this run a quarter of an hour late: %s", error)


async def _send_first_state(run: FlowRun) -> None:
    async with get_client() as client:
        states = await client.read_flow_run_states(run.id)
    first = min(states, key=lambda state: state.timestamp)
    resource = {"prefect.resource.id": f"prefect.flow-run.{run.id}", "prefect.resource.name": run.name}
    emit_event(EVENT, resource, occurred=first.timestamp, id=first.id)
