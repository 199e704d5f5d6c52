"""The heartbeat of a flow run, by which the automations of the deploy step tell that its process is alive.

Prefect sends one every 180 s where nobody sets its variable, as in a script or a notebook that calls a flow: longer
than the automations wait. So the flows send their own, whoever calls them.
"""

import contextvars
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from prefect.context import FlowRunContext
from prefect.events import emit_event
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

EVENT = "prefect.flow-run.heartbeat"
HEARTBEAT_SECONDS = 30


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
    resource = {"prefect.resource.id": f"prefect.flow-run.{run.id}", "prefect.resource.name": run.name}
    flow = {
        "prefect.resource.id": f"prefect.flow.{run.flow_id}",
        "prefect.resource.role": "flow",
        "prefect.resource.name": context.flow.name,
    }
    stopping = threading.Event()

    def beat() -> None:
        while True:
            emit_event(EVENT, resource, related=[flow])
            if stopping.wait(HEARTBEAT_SECONDS):
                return

    # The thread has to know Prefect's settings, which have the server's address.
    beating = threading.Thread(target=contextvars.copy_context().run, args=(beat,), daemon=True)
    beating.start()
    try:
        yield
    finally:
        stopping.set()
        # One that came after the run's end would have the automations wait for the next.
        beating.join()


@contextmanager
def sending_none_twice() -> Iterator[None]:
    """Inside the block Prefect sends no heartbeats of its own for flow runs that begin there: each run sends ours.

    For a parent of many: to make Prefect's settings anew takes 20 ms of the processor.
    """
    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        yield
