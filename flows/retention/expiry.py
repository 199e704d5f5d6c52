"""Ends a proposal that nobody has reviewed in time, and the run that is suspended for it."""

from contextlib import suppress
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import State, StateType
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_API_URL
from prefect.states import Cancelled

from engine.store.proposals import reject_proposal
from engine.store.sample_set import read_manifest
from engine.store.store import StoredSet
from flows.run.set_events import emit_written

EXPIRED = "nobody reviewed it in time"


def expire_proposal(stored: StoredSet) -> bool:
    """Rejects a proposal, and sets its run to Cancelled where it is suspended. The caller must keep runs out.

    False where the proposal does not wait any more, or somebody has decided on it: its run goes on.

    Raises:
        StoreError: the store cannot be read or written; the proposal then still waits.
    """
    manifest = read_manifest(stored.folder)
    if manifest is None or manifest.get("status") != "proposed":
        return False
    if not PREFECT_API_URL.value():
        emit_written(reject_proposal(stored, EXPIRED, False))
        return True
    with get_client(sync_client=True) as client:
        if _goes_on(client, stored.run_id):
            return False
        emit_written(reject_proposal(stored, EXPIRED, False))
        # A server that is away has the run suspended still; resumed, it finds the proposal rejected and ends.
        with suppress(ObjectNotFound, httpx.HTTPError, ValueError):
            said = f"The proposal was rejected: {EXPIRED}. Nothing was attached"
            end_suspended(client, UUID(stored.run_id), Cancelled(message=said))
    return True


def end_suspended(client: SyncPrefectClient, run_id: UUID, ended: State[None]) -> None:
    """Sets a suspended run to a final state; one that is not suspended stays as it is."""
    state = client.read_flow_run(run_id).state
    if state is not None and state.type is StateType.PAUSED:
        client.set_flow_run_state(run_id, ended, force=True)


def _goes_on(client: SyncPrefectClient, run_id: str) -> bool:
    """Whether a run is neither suspended nor over; one that Prefect does not know is over."""
    try:
        state = client.read_flow_run(UUID(run_id)).state
    except (ObjectNotFound, ValueError):
        return False
    return state is not None and not state.is_final() and state.type is not StateType.PAUSED
