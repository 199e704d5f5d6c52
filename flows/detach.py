"""Detach, beside the runs that Prefect knows of: a set is not taken away from under one that works on its model."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.settings import PREFECT_API_URL

from engine.detach import detach_set, find_detachable
from engine.errors import ModelBusyError, OrchestratorError
from engine.sample_set import DETACHED
from engine.settings import Settings
from engine.store import StoredSet
from flows.holders import list_holders
from flows.marks import name_tag
from flows.slot import Slot


def detach_run(settings: Settings, run_id: str) -> StoredSet:
    """Takes the set of a run off its model, and tells what it was.

    Raises:
        InputError, FrozenModelError, DefinitionError, StoreError: as ``find_detachable`` and ``detach_set``.
        ModelBusyError: a run works on the model. OrchestratorError: Prefect cannot be asked whether one does.
    """
    stored = find_detachable(settings.locate(settings.models_uri), settings.locate(settings.samples_uri), run_id)
    with keep_runs_out(stored.handle, "Nothing was detached"):
        detach_set(stored)
    return stored


def show_detached(stored: StoredSet, as_json: bool = False) -> None:
    """Prints what was taken away and where it is kept."""
    counts = stored.manifest.get("counts", {})
    samples = sum(sum(poles.values()) for poles in counts.values())
    kept = stored.file(DETACHED)
    if as_json:
        facts = {"run_id": stored.run_id, "handle": stored.handle, "pool": stored.manifest.get("pool")}
        print(json.dumps({**facts, "samples": samples, "counts": counts, "kept": kept}, ensure_ascii=False))
        return
    print(f"Detached from {stored.handle}: {samples} samples of run {stored.run_id}")
    for trait, poles in counts.items():
        print(f"  {trait}: {', '.join(f'{count} {pole}' for pole, count in poles.items())}")
    print(f"They are kept in {kept}, where no reader of samples looks.")
    print("The same request makes the same samples again, from the kept replies: another EXEMPLARS_SEED makes others.")


@contextmanager
def keep_runs_out(handle: str, undone: str) -> Iterator[None]:
    """Holds the model's slot, where a Prefect server is configured: a run that begins meanwhile waits a moment.

    Args:
        undone: what its errors say has not been done, such as "Nothing was detached".

    Raises:
        ModelBusyError, OrchestratorError: as ``detach_run``.
    """
    if not PREFECT_API_URL.value():
        yield
        return
    with get_client(sync_client=True) as client:
        slot = Slot(client, name_tag(handle), uuid4())
        try:
            _check_idle(client, slot, handle, undone)
            yield
        except httpx.HTTPError as error:
            raise OrchestratorError(
                f"Prefect's server at {PREFECT_API_URL.value()} cannot be asked whether a run works on {handle}: "
                f"{error or type(error).__name__}. {undone}; start it, or unset PREFECT_API_URL where none "
                "runs any more"
            ) from error
        finally:
            _give_back(slot)


def _check_idle(client: SyncPrefectClient, slot: Slot, handle: str, undone: str) -> None:
    taken = slot.take()
    holders = list_holders(client, handle)
    if alive := [holder for holder in holders if holder.gone is not True]:
        raise ModelBusyError(
            f"{alive[0]} works on {handle}. {undone}; do it when that run has ended",
            str(alive[0].run_id),
        )
    if not taken and not holders:
        raise ModelBusyError(f"The lease of {handle} is taken, so a run begins. {undone}; try again later")


def _give_back(slot: Slot) -> None:
    """Where Prefect does not answer, the lease runs out by itself."""
    try:
        slot.give_back()
    except httpx.HTTPError:
        return
