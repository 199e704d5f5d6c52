"""Change a set after it was written: detach it or remove samples, one file at a time, each written atomically.

An attach writes ``samples.parquet``, then the manifest. So does a removal; the metadata of its new file lists the
removed rows. A detach writes ``detached.pq``, then the manifest, then deletes ``samples.parquet``. Between these steps
the manifest is valid, and the next change of the model's sets completes them (``finish_change``). A set that replaces
others names them in its manifest: readers then skip these sets, and ``detach_replaced`` detaches them.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import fs

from engine.definitions.lifecycle import check_draft
from engine.errors import FrozenModelError, InputError, StoreError
from engine.store.commit import is_attached
from engine.store.layout import DETACHED, MANIFEST, SAMPLES
from engine.store.sample_set import describe_file, digest_ids, read_manifest, seal, write_parquet
from engine.store.store import (
    REPLACED_BY,
    UNREADABLE,
    StoredSet,
    explain_damage,
    get_set,
    list_replaced,
    translate_errors,
)
from engine.store.writers import lock_model
from engine.system.filesystem import delete_file, open_folder, read_bytes, write_whole
from engine.system.parquet import read_table

# An id has 53 bits.
MAX_ID = 1 << 53
# The metadata key of ``samples.parquet`` for the samples removed from it: their ids and row numbers.
REMOVALS = b"exemplars.removals"
# Columns of a removed sample that the manifest keeps: later runs exclude its text, and people can look it up.
KEPT_OF_REMOVED = ("trait", "pole", "text", "prompt_sha256")
Positions = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True, slots=True)
class Removal:
    """The samples to remove, by id; ``why`` is a reason or empty, ``who`` a person or a key."""

    ids: tuple[int, ...]
    removed_at: datetime
    why: str = ""
    who: str = ""


def find_detachable(models_uri: str, samples_uri: str, run_id: str) -> StoredSet:
    """Return the attached set of a run after checking that it may be detached.

    Training samples may be detached from a draft only. An evaluation pool may be detached from any model, and so may a
    set that another set has replaced, since readers do not see it.

    Raises:
        InputError: there is no such set, or it is not attached.
        FrozenModelError: the model is not a draft.
        DefinitionError: the model's lifecycle file is wrong.
        StoreError: the store cannot be read.
    """
    stored = get_set(samples_uri, run_id)
    if stored.status != "attached":
        raise InputError(
            f"The set of run {run_id} is {stored.status}: none of its samples is attached to {stored.handle}, so there "
            f"is nothing to detach. It is in {stored.folder}"
        )
    if stored.manifest["pool"] == "train":
        try:
            check_draft(models_uri, stored.handle, "Nothing was detached")
        except FrozenModelError:
            if stored not in (replaced for replaced, _ in list_replaced(stored.folder.rpartition("/run=")[0])):
                raise
    return stored


def detach_replaced(replaced: Iterable[tuple[StoredSet, str]]) -> Iterator[str]:
    """Detach the sets that ``list_replaced`` returned, and yield a line for each. The caller must not hold a lock of
    the model; it needs no lease, since our programs skip these sets.

    Raises:
        StoreError: as ``detach_set``; the next run of the model resumes.
    """
    for stored, run_id in replaced:
        # Another process may have detached it.
        with suppress(InputError):
            detach_set(stored, who=f"run {run_id}", replaced_by=run_id)
            yield f"{stored.folder}: detached, since run {run_id} has replaced it"


def detach_set(stored: StoredSet, who: str = "", replaced_by: str = "") -> None:
    """Hide an attached set from all readers; its folder, report and rows stay.

    Args:
        who: the person or run that detaches it, for the manifest.
        replaced_by: the run id of the set that replaces it; empty if there is none.

    Raises:
        InputError: another process has detached the set in the meantime.
        StoreError: the store cannot be read or written; the set is still attached, or the next change of the model's
            sets completes the detaching.
    """
    folder = stored.folder
    with changing(folder) as (manifest, _):
        _check_attached(manifest, stored.run_id)
        # A set with missing samples can be detached too, so that its model can be used again.
        with suppress(FileNotFoundError):
            write_whole(f"{folder}/{DETACHED}", read_bytes(f"{folder}/{SAMPLES}"))
        files = {DETACHED if name == SAMPLES else name: entry for name, entry in manifest["files"].items()}
        event = {"when": datetime.now(UTC).isoformat(timespec="seconds"), "who": who}
        replacement = {REPLACED_BY: replaced_by} if replaced_by else {}
        detached = {**manifest, "status": "detached", "files": files, "detached": event, **replacement}
        write_whole(f"{folder}/{MANIFEST}", seal(detached))
        delete_file(f"{folder}/{SAMPLES}")


def remove_stored(stored: StoredSet, removal: Removal) -> None:
    """Remove samples from an attached set; missing ids are ignored. The caller must keep runs of the model out.

    Raises:
        InputError: another process has detached the set in the meantime.
        StoreError: the set cannot be read or written, or was altered after it was written; no reader sees a partial
            removal.
    """
    folder = stored.folder
    with changing(folder) as (manifest, _):
        _check_attached(manifest, stored.run_id)
        with explain_damage(stored):
            if is_altered(StoredSet(folder, manifest)):
                raise ValueError("its size is not what the manifest says")
            samples = read_table(read_bytes(f"{folder}/{SAMPLES}"))
        is_removed = pc.is_in(samples["id"], pa.array(removal.ids, pa.int64()))
        removed, metadata = samples.filter(is_removed), samples.schema.metadata
        if not removed.num_rows:
            return
        ids, rows = removed["id"].to_pylist(), number_rows(metadata, samples.num_rows)[is_removed.to_numpy()].tolist()
        event = {"when": removal.removed_at.isoformat(), "why": removal.why, "who": removal.who}
        entries = [{"id": id_, **event, "row": row} for id_, row in zip(ids, rows, strict=True)]
        removals = json.dumps([*_read_removals(metadata), *entries]).encode()
        left = samples.filter(pc.invert(is_removed)).combine_chunks().replace_schema_metadata({REMOVALS: removals})
        content = write_parquet(left)
        write_whole(f"{folder}/{SAMPLES}", content)
        kept = {row["id"]: {name: row[name] for name in KEPT_OF_REMOVED} for row in removed.to_pylist()}
        write_whole(f"{folder}/{MANIFEST}", _render_without(manifest, content, left, kept))


@contextmanager
def changing(folder: str) -> Iterator[tuple[Mapping[str, Any], Callable[[], None]]]:
    """Keep other writers from changing the model's sets inside the block, and complete a change that the block began.

    Yields:
        The set's manifest, empty if there is none, and the ``confirm`` function of ``lock_model``.

    Raises:
        StoreError: the store cannot be read or written.
    """
    with translate_errors(folder), lock_model(folder) as confirm:
        manifest, _ = finish_change(folder)
        try:
            yield manifest or {}, confirm
        except BaseException:
            with suppress(OSError, pa.ArrowException, StoreError):
                finish_change(folder)
            raise


def finish_change(folder: str) -> tuple[Mapping[str, Any] | None, str]:
    """Complete a change of a set that its writer left unfinished. The caller must hold the model's lock.

    Returns:
        The set's current manifest, None if there is none; and a line about the completed change, empty if none was.

    Raises:
        OSError, pa.ArrowException, StoreError: the store cannot be read or written.
    """
    manifest = read_manifest(folder)
    if manifest is None:
        return None, ""
    filesystem, path = open_folder(folder)
    samples, detached = filesystem.get_file_info([f"{path}/{SAMPLES}", f"{path}/{DETACHED}"])
    if not is_attached(manifest):
        if samples.type == fs.FileType.NotFound:
            return manifest, ""
        delete_file(f"{folder}/{SAMPLES}")
        return manifest, f"{folder}/{SAMPLES}: samples of a set that is {manifest['status']}"
    if detached.type != fs.FileType.NotFound:
        delete_file(f"{folder}/{DETACHED}")
        return manifest, f"{folder}/{DETACHED}: a copy from a detach that was not completed"
    if samples.type != fs.FileType.NotFound and samples.size != manifest["files"][SAMPLES]["bytes"]:
        content = read_bytes(f"{folder}/{SAMPLES}")
        # Any other content comes from a person, who should look at it.
        if (left := read_left(content, manifest)) is not None:
            write_whole(f"{folder}/{MANIFEST}", _render_without(manifest, content, left, {}))
            return read_manifest(folder), f"{folder}: completed an unfinished removal of samples"
    return manifest, ""


def is_altered(stored: StoredSet) -> bool:
    """Return whether the size of a set's samples differs from its manifest, and no unfinished removal explains it.

    Only the size is compared: ``verify`` reads every byte.

    Raises:
        StoreError: the store cannot be read.
    """
    filesystem, path = open_folder(stored.file(stored.rows_name))
    expected = stored.manifest.get("files", {}).get(stored.rows_name, {}).get("bytes")
    with translate_errors(stored.folder, UNREADABLE):
        if expected in (None, filesystem.get_file_info(path).size):
            return False
        with suppress(FileNotFoundError):
            left = read_left(read_bytes(stored.file(stored.rows_name)), stored.manifest)
            return stored.status != "attached" or left is None
    return True


def read_left(content: bytes, manifest: Mapping[str, Any]) -> pa.Table | None:
    """Return the samples that an unfinished removal left; None if the content is not the manifest's minus some rows."""
    with suppress(OSError, pa.ArrowException):
        left = read_table(content)
        newer = len(_read_removals(left.schema.metadata)) - len(manifest.get("removals", ()))
        if newer > 0 and left.num_rows + newer == manifest["files"][SAMPLES]["rows"]:
            return left
    return None


def number_rows(metadata: Mapping[bytes, bytes] | None, count: int) -> Positions:
    """Return the permanent row numbers of ``count`` rows: the numbers that they had when their set was attached."""
    removed = [entry["row"] for entry in _read_removals(metadata)]
    return np.delete(np.arange(count + len(removed)), np.array(removed, np.int64))


def _check_attached(manifest: Mapping[str, Any], run_id: str) -> None:
    if not is_attached(manifest):
        raise InputError(f"The set of run {run_id} is no longer attached: another process has detached it")


def _read_removals(metadata: Mapping[bytes, bytes] | None) -> list[dict[str, Any]]:
    """Return the removals in the metadata of a set's samples: id, when, why, who and row of each removed sample.

    Row numbers are as they were when the set was attached.
    """
    removals: list[dict[str, Any]] = json.loads((metadata or {}).get(REMOVALS, b"[]"))
    return removals


def _render_without(
    manifest: Mapping[str, Any], content: bytes, left: pa.Table, kept: Mapping[int, Mapping[str, Any]]
) -> bytes:
    """Render the manifest of a set after a removal.

    Args:
        content: the file with the remaining samples.
        kept: the columns ``KEPT_OF_REMOVED`` of the removed rows, by id: no later run generates their texts again.
    """
    known = list(manifest.get("removals", ()))
    added = _read_removals(left.schema.metadata)[len(known) :]
    counts = {trait: dict.fromkeys(poles, 0) for trait, poles in manifest["counts"].items()}
    for trait, pole in zip(left["trait"].to_pylist(), left["pole"].to_pylist(), strict=True):
        counts[trait][pole] += 1
    return seal(
        {
            **manifest,
            "counts": counts,
            "rows_sha256": digest_ids(left["id"].to_pylist()),
            "files": {**manifest["files"], SAMPLES: describe_file(content, left.num_rows)},
            "removals": [*known, *({**entry, "text": "", **kept.get(entry["id"], {})} for entry in added)],
        }
    )
