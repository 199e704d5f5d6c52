"""What changes of a set after it was written: it is detached or loses samples, a file at a time, each in one move.

An attach puts ``samples.parquet``, then the manifest; a removal likewise, and the new file says in its own metadata
which rows went; a detach puts ``detached.pq``, then the manifest, then takes ``samples.parquet`` away. Between them the
manifest holds, and whoever next changes the model's sets finishes (``finish_change``). A set that replaces others
names them in its manifest, which readers go by from then on; then these are detached (``detach_replaced``).
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
# The key under which the metadata of ``samples.parquet`` has the removals from it: ids, and the rows that they had.
REMOVALS = b"exemplars.removals"
# Of each, the manifest keeps the columns by which it stays away, and is found again.
KEPT_OF_REMOVED = ("trait", "pole", "text", "prompt_sha256")
Positions = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True, slots=True)
class Removal:
    """What is taken off, by the ids of the samples; ``why`` is a reason or empty, ``who`` a person or a key."""

    ids: tuple[int, ...]
    removed_at: datetime
    why: str = ""
    who: str = ""


def find_detachable(models_uri: str, samples_uri: str, run_id: str) -> StoredSet:
    """The attached set of a run, after checking that it may be detached.

    Only a draft's training samples may be detached; an evaluation pool may be detached from any model, and so may what
    another set has replaced: readers see none of it.

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
    """Detaches sets that ``list_replaced`` has found, and yields a line for each. The caller must hold no lock of
    the model; it needs no lease, since no reader of ours sees them.

    Raises:
        StoreError: as ``detach_set``; the next run of the model goes on.
    """
    for stored, run_id in replaced:
        # Somebody may have detached it by now.
        with suppress(InputError):
            detach_set(stored, who=f"run {run_id}", replaced_by=run_id)
            yield f"{stored.folder}: detached, since run {run_id} has replaced it"


def detach_set(stored: StoredSet, who: str = "", replaced_by: str = "") -> None:
    """Hides an attached set from all readers; its folder, report and rows stay.

    Args:
        who: the person or run that detaches it, for the manifest.
        replaced_by: the run whose set takes its place, where there is one.

    Raises:
        InputError: another process has detached it in the meantime.
        StoreError: the store cannot be read or written; the set is then still attached, or the next change of the
            model's sets completes the detaching.
    """
    folder = stored.folder
    with changing(folder) as (manifest, _):
        _check_attached(manifest, stored.run_id)
        # A set of which the samples are missing can be detached too: its model goes on without it.
        with suppress(FileNotFoundError):
            write_whole(f"{folder}/{DETACHED}", read_bytes(f"{folder}/{SAMPLES}"))
        files = {DETACHED if name == SAMPLES else name: entry for name, entry in manifest["files"].items()}
        said = {"when": datetime.now(UTC).isoformat(timespec="seconds"), "who": who}
        more = {REPLACED_BY: replaced_by} if replaced_by else {}
        detached = {**manifest, "status": "detached", "files": files, "detached": said, **more}
        write_whole(f"{folder}/{MANIFEST}", seal(detached))
        delete_file(f"{folder}/{SAMPLES}")


def remove_stored(stored: StoredSet, removal: Removal) -> None:
    """Takes samples off an attached set; those that it has no more are passed over. The caller must keep runs out.

    Raises:
        InputError: another process has detached it in the meantime.
        StoreError: the set cannot be read or written, or was altered since it was written; no reader sees a half of it.
    """
    folder = stored.folder
    with changing(folder) as (manifest, _):
        _check_attached(manifest, stored.run_id)
        with explain_damage(stored):
            if is_altered(StoredSet(folder, manifest)):
                raise ValueError("its size is not what the manifest says")
            samples = read_table(read_bytes(f"{folder}/{SAMPLES}"))
        gone = pc.is_in(samples["id"], pa.array(removal.ids, pa.int64()))
        taken, metadata = samples.filter(gone), samples.schema.metadata
        if not taken.num_rows:
            return
        ids, rows = taken["id"].to_pylist(), number_rows(metadata, samples.num_rows)[gone.to_numpy()].tolist()
        said = {"when": removal.removed_at.isoformat(), "why": removal.why, "who": removal.who}
        entries = [{"id": id_, **said, "row": row} for id_, row in zip(ids, rows, strict=True)]
        removals = json.dumps([*_read_removals(metadata), *entries]).encode()
        left = samples.filter(pc.invert(gone)).combine_chunks().replace_schema_metadata({REMOVALS: removals})
        content = write_parquet(left)
        write_whole(f"{folder}/{SAMPLES}", content)
        known = {row["id"]: {name: row[name] for name in KEPT_OF_REMOVED} for row in taken.to_pylist()}
        write_whole(f"{folder}/{MANIFEST}", _render_without(manifest, content, left, known))


@contextmanager
def changing(folder: str) -> Iterator[tuple[Mapping[str, Any], Callable[[], None]]]:
    """Inside the block nobody else changes the sets of a set's model; what a block that fails has begun is finished.

    Yields:
        The set's manifest, empty where there is none, and what ``lock_model`` yields.

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
    """Finishes what a writer that is gone has begun on a set. The caller must hold the model's lock.

    Returns:
        The set's manifest now, None where there is none; and what was finished, empty where nothing was.

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
        return manifest, f"{folder}/{DETACHED}: a copy for a set that was not detached after all"
    if samples.type != fs.FileType.NotFound and samples.size != manifest["files"][SAMPLES]["bytes"]:
        content = read_bytes(f"{folder}/{SAMPLES}")
        # What a person has put there instead is theirs to look at.
        if (left := read_left(content, manifest)) is not None:
            write_whole(f"{folder}/{MANIFEST}", _render_without(manifest, content, left, {}))
            return read_manifest(folder), f"{folder}: a removal of samples that did not end, which is finished now"
    return manifest, ""


def is_altered(stored: StoredSet) -> bool:
    """Whether a set's samples have another size than its manifest says, and not since a removal has not ended.

    ``verify`` reads every byte.

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
    """The samples of a manifest less some rows, as a removal leaves them that has not ended; None if they are not."""
    with suppress(OSError, pa.ArrowException):
        left = read_table(content)
        more = len(_read_removals(left.schema.metadata)) - len(manifest.get("removals", ()))
        if more > 0 and left.num_rows + more == manifest["files"][SAMPLES]["rows"]:
            return left
    return None


def number_rows(metadata: Mapping[bytes, bytes] | None, count: int) -> Positions:
    """The number that each of ``count`` rows had when their set was attached, which it keeps for good."""
    removed = [entry["row"] for entry in _read_removals(metadata)]
    return np.delete(np.arange(count + len(removed)), np.array(removed, np.int64))


def _check_attached(manifest: Mapping[str, Any], run_id: str) -> None:
    if not is_attached(manifest):
        raise InputError(f"The set of run {run_id} is no longer attached: another process has detached it")


def _read_removals(metadata: Mapping[bytes, bytes] | None) -> list[dict[str, Any]]:
    """What was taken off the samples that have this metadata: of each the id, when, why, who, and the row it had.

    Rows are numbered as they were when the set was attached.
    """
    found: list[dict[str, Any]] = json.loads((metadata or {}).get(REMOVALS, b"[]"))
    return found


def _render_without(
    manifest: Mapping[str, Any], content: bytes, left: pa.Table, gone: Mapping[int, Mapping[str, Any]]
) -> bytes:
    """The manifest of a set with new samples, from which some were taken.

    Args:
        content: the file with the samples that are left.
        gone: of the rows that went, by id, ``KEPT_OF_REMOVED``: no later run makes their texts again.
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
            "removals": [*known, *({**entry, "text": "", **gone.get(entry["id"], {})} for entry in added)],
        }
    )
