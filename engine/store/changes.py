"""What changes of a set after it was written: it is detached or loses samples, a file at a time, each in one move.

An attach puts ``samples.parquet``, then the manifest; a removal likewise, and the new file says in its own metadata
which rows went; a detach puts ``detached.pq``, then the manifest, then takes ``samples.parquet`` away. Between them the
manifest holds, and whoever next changes the model's sets finishes (``finish_change``).
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from engine.store.commit import is_attached
from engine.store.layout import DETACHED, MANIFEST, SAMPLES
from engine.store.sample_set import describe_file, digest_ids, read_manifest, seal
from engine.system.filesystem import open_folder, read_bytes, write_whole

# The key under which the metadata of ``samples.parquet`` has the removals from it: ids, and the rows that they had.
REMOVALS = b"exemplars.removals"
Positions = np.ndarray[Any, np.dtype[np.int64]]


def put_file(folder: str, name: str, content: bytes) -> None:
    """Puts a file of a set in one move: a reader sees the old content or the new.

    Raises:
        OSError, pa.ArrowException: the store cannot be written.
    """
    filesystem, path = open_folder(f"{folder}/{name}")
    write_whole(filesystem, path, content)


def take_away(folder: str, name: str) -> None:
    """Deletes a file of a set, where it is there."""
    filesystem, path = open_folder(f"{folder}/{name}")
    with suppress(FileNotFoundError):
        filesystem.delete_file(path)


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
        take_away(folder, SAMPLES)
        return manifest, f"{folder}/{SAMPLES}: samples of a set that is {manifest['status']}"
    if detached.type != fs.FileType.NotFound:
        take_away(folder, DETACHED)
        return manifest, f"{folder}/{DETACHED}: a copy for a set that was not detached after all"
    if samples.type != fs.FileType.NotFound and samples.size != manifest["files"][SAMPLES]["bytes"]:
        content = read_bytes(f"{folder}/{SAMPLES}")
        # What a person has put there instead is theirs to look at.
        if (left := read_left(content, manifest)) is not None:
            put_file(folder, MANIFEST, render_without(manifest, content, left))
            return read_manifest(folder), f"{folder}: a removal of samples that did not end, which is finished now"
    return manifest, ""


def read_left(content: bytes, manifest: Mapping[str, Any]) -> pa.Table | None:
    """The samples of a manifest less some rows, as a removal leaves them that has not ended; None if they are not."""
    with suppress(OSError, pa.ArrowException):
        left = read_table(content)
        more = len(read_removals(left.schema.metadata)) - len(manifest.get("removals", ()))
        if more > 0 and left.num_rows + more == manifest["files"][SAMPLES]["rows"]:
            return left
    return None


def read_removals(metadata: Mapping[bytes, bytes] | None) -> list[dict[str, Any]]:
    """What was taken off the samples that have this metadata: of each the id, when, why, who, and the row it had.

    Rows are numbered as they were when the set was attached.
    """
    found: list[dict[str, Any]] = json.loads((metadata or {}).get(REMOVALS, b"[]"))
    return found


def number_rows(metadata: Mapping[bytes, bytes] | None, count: int) -> Positions:
    """The number that each of ``count`` rows had when their set was attached, which it keeps for good."""
    removed = [entry["row"] for entry in read_removals(metadata)]
    return np.delete(np.arange(count + len(removed)), np.array(removed, np.int64))


def render_without(
    manifest: Mapping[str, Any], content: bytes, left: pa.Table, texts: Mapping[int, str] | None = None
) -> bytes:
    """The manifest of a set with new samples, from which some were taken.

    Args:
        content: the file with the samples that are left.
        texts: those that went, by id, so that no later run makes them again.
    """
    known = list(manifest.get("removals", ()))
    added = read_removals(left.schema.metadata)[len(known) :]
    counts = {trait: dict.fromkeys(poles, 0) for trait, poles in manifest["counts"].items()}
    for trait, pole in zip(left["trait"].to_pylist(), left["pole"].to_pylist(), strict=True):
        counts[trait][pole] += 1
    return seal(
        {
            **manifest,
            "counts": counts,
            "rows_sha256": digest_ids(left["id"].to_pylist()),
            "files": {**manifest["files"], SAMPLES: describe_file(content, left.num_rows)},
            "removals": [*known, *({**entry, "text": (texts or {}).get(entry["id"], "")} for entry in added)],
        }
    )


def mark_removed(left: pa.Table, removals: Sequence[Mapping[str, Any]]) -> pa.Table:
    """The samples that are left, with what was taken off them in their metadata."""
    return left.combine_chunks().replace_schema_metadata({REMOVALS: json.dumps(list(removals)).encode()})


def read_table(content: bytes) -> pa.Table:
    """The table in the bytes of a set's file."""
    return pq.read_table(pa.BufferReader(content), page_checksum_verification=True)
