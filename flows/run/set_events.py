"""Emit Prefect's events of sample sets: they tell automations that a set was attached, or has lost samples.

The resource is the model. The process that changed the set emits the event once, after the change. A process that is
killed in between emits none: an event saves an automation the wait, but only the store is reliable. If no Prefect
server is configured, only flow runs emit events, to the server that Prefect has started for them.
"""

import logging
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from prefect.client.orchestration import get_client
from prefect.context import FlowRunContext
from prefect.events import emit_event
from prefect.events.schemas.events import Event, RelatedResource, Resource
from prefect.settings import PREFECT_API_URL

from engine.errors import StoreError
from engine.store.sample_set import read_manifest
from engine.store.store import StoredSet, count_stored

# The prefix of the events; a set's status, or ``removed``, follows it.
EVENTS = "exemplars.set."
REMOVED = f"{EVENTS}removed"
RESOURCE = "exemplars.model."
POST_SECONDS = 5.0
LOGGER = logging.getLogger("exemplars.runs")


def emit_written(stored: StoredSet) -> None:
    """Emit ``exemplars.set.attached``, ``.proposed`` or ``.rejected``, by the status of a written set.

    No event is emitted if this process found the set already written.
    """
    if stored.written:
        _emit(f"{EVENTS}{stored.status}", stored, {})


@contextmanager
def emitting_removals(sets: Collection[StoredSet]) -> Iterator[None]:
    """Emit ``exemplars.set.removed`` for each attached set that has lost samples by the end of the block.

    A block that fails may have changed some sets, so its events are emitted, too.
    """
    try:
        yield
    finally:
        for stored in sets:
            # If the store cannot be read, the block has failed for the same reason.
            with suppress(StoreError):
                after = StoredSet(stored.folder, {**stored.manifest, **(read_manifest(stored.folder) or {})})
                # A detached set has lost all its samples.
                left = after.manifest.get("counts", {}) if after.status == "attached" else {}
                if removed := count_stored([stored]) - (count_stored([after]) if left else 0):
                    _emit(REMOVED, after, {"counts": left, "removed": removed, "status": after.status})


def _emit(name: str, stored: StoredSet, more: Mapping[str, Any]) -> None:
    manifest, handle = stored.manifest, stored.handle
    # Automations match only the labels of a resource, not the payload.
    resource = {
        "prefect.resource.id": f"{RESOURCE}{handle}",
        "prefect.resource.name": handle,
        "exemplars.pool": str(manifest.get("pool", "")),
        "exemplars.synth-type": str(manifest.get("synth_type", "")),
    }
    run = {"prefect.resource.id": f"prefect.flow-run.{stored.run_id}", "prefect.resource.role": "flow-run"}
    payload = {
        "run_id": stored.run_id,
        "handle": handle,
        **{field: manifest.get(field) for field in ("pool", "synth_type", "effort")},
        "counts": manifest.get("counts", {}),
        "path": stored.folder,
        **more,
    }
    context = FlowRunContext.get()
    try:
        if context is not None:
            # Prefect itself adds the emitting run as related, with its name, flow, deployment and tags.
            is_own = context.flow_run is not None and str(context.flow_run.id) == stored.run_id
            emit_event(name, resource, related=[] if is_own else [run], payload=payload)
        elif PREFECT_API_URL.value():
            _post(Event(event=name, resource=Resource(resource), related=[RelatedResource(run)], payload=payload))
    except Exception as error:
        # An event that fails must not fail the change of the set.
        LOGGER.warning("No event %s was emitted: %s", name, error or type(error).__name__)


def _post(event: Event) -> None:
    """Send an event at once: Prefect's thread for events would delay the end of a command, with a message."""
    with get_client(sync_client=True, httpx_settings={"timeout": POST_SECONDS}) as client:
        client.request("POST", "/events", json=[event.model_dump(mode="json")]).raise_for_status()
