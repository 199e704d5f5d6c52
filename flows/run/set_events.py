"""Emits Prefect's events of sample sets, by which automations learn that a set was attached, or is no longer whole.

The resource is the model. Each event is emitted once, by whoever changed the set, after the change: a process that is
killed in between emits none, so an automation saves waiting, and the store has the truth. Where no Prefect server is
configured, only flow runs emit events, to the server that Prefect has started for them.
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

# Then come a set's status, or ``removed``.
EVENTS = "exemplars.set."
REMOVED = f"{EVENTS}removed"
RESOURCE = "exemplars.model."
POST_SECONDS = 5.0
LOGGER = logging.getLogger("exemplars.runs")


def emit_written(stored: StoredSet) -> None:
    """Emits ``exemplars.set.attached``, ``.proposed`` or ``.rejected``, by the status that a set was written with.

    Nothing where this process found the set written already.
    """
    if stored.written:
        _emit(f"{EVENTS}{stored.status}", stored, {})


@contextmanager
def emitting_removals(sets: Collection[StoredSet]) -> Iterator[None]:
    """Emits ``exemplars.set.removed`` for each of some attached sets that has lost samples by the end of the block.

    Also where the block fails: it may have come to some of the sets.
    """
    try:
        yield
    finally:
        for stored in sets:
            # A store that cannot be read any more has failed the block too.
            with suppress(StoreError):
                after = StoredSet(stored.folder, {**stored.manifest, **(read_manifest(stored.folder) or {})})
                # A set that was detached has lost all.
                left = after.manifest.get("counts", {}) if after.status == "attached" else {}
                if removed := count_stored([stored]) - (count_stored([after]) if left else 0):
                    _emit(REMOVED, after, {"counts": left, "removed": removed, "status": after.status})


def _emit(name: str, stored: StoredSet, more: Mapping[str, Any]) -> None:
    manifest, handle = stored.manifest, stored.handle
    # Automations match by a resource's labels alone, and not by the payload.
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
            # Prefect relates the run that emits it by itself, with its name, flow, deployment and tags.
            is_own = context.flow_run is not None and str(context.flow_run.id) == stored.run_id
            emit_event(name, resource, related=[] if is_own else [run], payload=payload)
        elif PREFECT_API_URL.value():
            _post(Event(event=name, resource=Resource(resource), related=[RelatedResource(run)], payload=payload))
    except Exception as error:
        # Whatever becomes of the event, the set is what it is.
        LOGGER.warning("No event %s was emitted: %s", name, error or type(error).__name__)


def _post(event: Event) -> None:
    """Sends an event at once: Prefect's thread for events would have the end of a command wait for it, and says so."""
    with get_client(sync_client=True, httpx_settings={"timeout": POST_SECONDS}) as client:
        client.request("POST", "/events", json=[event.model_dump(mode="json")]).raise_for_status()
