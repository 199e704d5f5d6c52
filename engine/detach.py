"""Detach: an attached set is taken off a draft, at somebody's word alone; what it was stays in its folder."""

from engine.definitions.lifecycle import LIFECYCLE_FILE, Lifecycle, read_lifecycle
from engine.errors import FrozenModelError, InputError
from engine.store import StoredSet, detach_stored, find_set


def find_detachable(models_uri: str, samples_uri: str, run_id: str) -> StoredSet:
    """The attached set of a run, on a model that is a draft.

    A pool for evaluation, which is attached to nothing, may be taken away from any model, as it may be added to any.

    Raises:
        InputError: there is no such set, or it is not attached. FrozenModelError: the model is no draft.
        DefinitionError: its lifecycle cannot be understood. StoreError: the store cannot be read.
    """
    stored = find_set(samples_uri, run_id)
    if stored is None:
        raise InputError(
            f"No set of run {run_id!r} is in {samples_uri}. A run id is the last part of a set's folder, run=<run id>; "
            "EXEMPLARS_SAMPLES_URI says where to look"
        )
    if stored.status != "attached":
        raise InputError(
            f"The set of run {run_id} is {stored.status}, so nothing of it is attached to {stored.handle} and there is "
            f"nothing to detach: {stored.folder}"
        )
    lifecycle = read_lifecycle(models_uri, stored.handle) if stored.manifest.get("pool") != "eval" else Lifecycle()
    if not lifecycle.takes_samples:
        raise FrozenModelError(
            f"{stored.handle} is {lifecycle.state!r}, not a draft ({LIFECYCLE_FILE}). A trained model's samples are "
            f"frozen, so the set of run {run_id} stays attached. Nothing was detached"
        )
    return stored


def detach_set(stored: StoredSet) -> None:
    """Takes the set off its model.

    Raises:
        InputError: somebody else has, since it was looked for. StoreError: the store cannot be written.
    """
    if not detach_stored(stored):
        raise InputError(f"The set of run {stored.run_id} is attached no more: somebody else has detached it")
