"""Detaches a set from its model: its samples move to a file that no reader of samples looks for."""

from contextlib import suppress

import pyarrow as pa

from engine.definitions.lifecycle import check_draft
from engine.errors import InputError, StoreError
from engine.store.changes import finish_change, put_file, take_away
from engine.store.commit import is_attached
from engine.store.layout import DETACHED, MANIFEST, SAMPLES
from engine.store.sample_set import seal
from engine.store.store import StoredSet, find_set, translate_errors
from engine.store.writers import lock_model
from engine.system.filesystem import read_bytes


def find_detachable(models_uri: str, samples_uri: str, run_id: str) -> StoredSet:
    """The attached set of a run, after checking that it may be detached.

    Only a draft's training samples may be detached; an evaluation pool may be detached from any model.

    Raises:
        InputError: there is no such set, or it is not attached.
        FrozenModelError: the model is not a draft.
        DefinitionError: the model's lifecycle file is wrong.
        StoreError: the store cannot be read.
    """
    stored = find_set(samples_uri, run_id)
    if stored is None:
        raise InputError(
            f"{samples_uri} has no set of run {run_id!r}. The run id is the last part of a set's folder, run=<run id>. "
            "Set EXEMPLARS_SAMPLES_URI to look in another store"
        )
    if stored.status != "attached":
        raise InputError(
            f"The set of run {run_id} is {stored.status}: none of its samples is attached to {stored.handle}, so there "
            f"is nothing to detach. It is in {stored.folder}"
        )
    if stored.manifest["pool"] == "train":
        check_draft(models_uri, stored.handle, "Nothing was detached")
    return stored


def detach_set(stored: StoredSet) -> None:
    """Hides an attached set from all readers; its folder, report and rows stay.

    Raises:
        InputError: another process has detached it in the meantime.
        StoreError: the store cannot be read or written; the set is then still attached, or the next change of the
            model's sets completes the detaching.
    """
    folder = stored.folder
    with translate_errors(folder), lock_model(folder):
        manifest, _ = finish_change(folder)
        if manifest is None or not is_attached(manifest):
            raise InputError(f"The set of run {stored.run_id} is no longer attached: another process has detached it")
        # A set of which the samples are missing can be detached too: its model goes on without it.
        try:
            with suppress(FileNotFoundError):
                put_file(folder, DETACHED, read_bytes(f"{folder}/{SAMPLES}"))
            files = {DETACHED if name == SAMPLES else name: entry for name, entry in manifest["files"].items()}
            put_file(folder, MANIFEST, seal({**manifest, "status": "detached", "files": files}))
        except BaseException:
            with suppress(OSError, pa.ArrowException, StoreError):
                finish_change(folder)
            raise
        take_away(folder, SAMPLES)
