"""Checks one sample set against its manifest: its place in the store, and every byte of its files.

The manifest is sealed and has the digest of each file, so rows in a file with its digest are as they were written.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeGuard

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from engine.errors import StoreError
from engine.store.changes import read_left
from engine.store.commit import is_attached
from engine.store.layout import DECISIONS, DETACHED, MANIFEST, SAMPLES
from engine.store.proposals import STATUSES
from engine.store.sample_set import SAMPLES_NAMES, read_manifest
from engine.system.filesystem import is_part, list_below, open_whole

DEBRIS = "The next run of this model removes it, unless the run that writes it is still running"
RESTORE = "Restore it from a copy, or take the set off its model with `exemplars detach {run_id}`"
LOST = (
    "Restore it from a copy, or move the set's folder out of the store: until then no run can use the model. The set "
    "cannot be made again, since its manifest says what it was made from"
)
FINISH = "The next run of this model finishes it, or takes it back"
REMOVE = "Remove it: no run wrote it here"
# What is wrong, the name of the file in the set, and what to do, where {run_id} stands for the set's run id.
FoundFault = tuple[str, str, str]
Ids = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(slots=True)
class SetFacts:
    """The result of checking one set; ``ids`` are the ids of its samples."""

    status: str = ""
    faults: list[FoundFault] = field(default_factory=list)
    ids: Ids = field(default_factory=lambda: np.empty(0, np.int64))
    size_bytes: int = 0


def check_set(filesystem: fs.FileSystem, place: str, path: str) -> SetFacts:
    """Checks everything about a set that can be checked without its model. Memory use is 8 bytes for each row.

    Args:
        place: the set's folder or URI, as people write it.
        path: the same folder as a path within ``filesystem``.
    """
    facts = SetFacts()
    infos = list_below(filesystem, path, recursive=True)
    there = {info.path.removeprefix(f"{path}/") for info in infos if info.type == fs.FileType.File}
    try:
        manifest = read_manifest(place)
    except StoreError as error:
        facts.faults.append((str(error.__cause__ or error), MANIFEST, LOST))
        return facts
    if manifest is None:
        if filesystem.get_file_info(path).type != fs.FileType.NotFound:
            facts.faults.append(("a set without a manifest, so debris", "", DEBRIS))
        return facts
    facts.status = str(manifest.get("status"))
    for key, value in _read_place(place).items():
        if manifest.get(key) != value:
            said = f"{key} is {manifest.get(key)!r}, but the folder says {value!r}"
            facts.faults.append((said, MANIFEST, "Move the folder to the place that its manifest says"))
    if facts.status not in STATUSES or not _is_nested(manifest.get("files")) or not _is_nested(manifest.get("counts")):
        facts.faults.append(("a manifest that does not say what the set is", MANIFEST, "Restore it from a copy"))
        return facts
    facts.faults += _check_listing(there, manifest)
    samples = SAMPLES_NAMES.get(facts.status)
    for name, entry in manifest["files"].items():
        found = _check_file(filesystem, f"{path}/{name}", entry, manifest, name == samples, facts)
        facts.faults += [(what, name, RESTORE) for what in found]
    return facts


def _read_place(place: str) -> dict[str, str]:
    """Handle, pool and run id, taken from the path of a set's folder."""
    values = [part.partition("=")[2] for part in place.split("/")[-3:]]
    return dict(zip(("handle", "pool", "run_id"), values, strict=True))


def _is_nested(value: object) -> TypeGuard[dict[str, dict[str, Any]]]:
    return isinstance(value, dict) and all(isinstance(entry, dict) for entry in value.values())


def _check_listing(there: set[str], manifest: Mapping[str, Any]) -> Iterator[FoundFault]:
    status, files = manifest["status"], manifest["files"]
    samples = SAMPLES_NAMES.get(status)
    began = {"detached": "a detach", "proposed": "an attach"}
    if samples is not None and samples not in files:
        yield "the manifest names no samples, but a set of this status has some", MANIFEST, RESTORE
    if samples != SAMPLES and SAMPLES in there and status in began:
        yield f"{began[status]} that did not end", SAMPLES, FINISH
    elif samples != SAMPLES and SAMPLES in there:
        yield f"samples of a set that is {status}", SAMPLES, REMOVE
    for name in sorted(there - {MANIFEST, SAMPLES, DECISIONS, *files}):
        if name == DETACHED and status == "attached":
            yield "a detach that did not end", name, FINISH
        elif not is_part(name):
            yield "a file that the manifest does not name", name, REMOVE


def _check_file(
    filesystem: fs.FileSystem,
    path: str,
    entry: Mapping[str, Any],
    manifest: Mapping[str, Any],
    has_samples: bool,
    facts: SetFacts,
) -> Iterator[str]:
    """Describes what is wrong with the bytes of a file. Those of a table that are as written have its rows."""
    try:
        with open_whole(filesystem, path) as source:
            size = source.size()
            facts.size_bytes += size
            left = None
            if size != entry.get("bytes") and has_samples and is_attached(manifest):
                left = read_left(bytes(source.read()), manifest)
            if left is not None:
                facts.ids = np.asarray(left["id"], np.int64)
            elif size != entry.get("bytes"):
                yield f"a file that was altered: {size} bytes, but the manifest says {entry.get('bytes')}"
            elif hashlib.file_digest(source, "sha256").hexdigest() != entry.get("sha256"):
                yield "a file that was altered: other bytes of the same length"
            elif has_samples:
                source.seek(0)
                facts.ids = np.asarray(pq.read_table(source, columns=["id"])["id"], np.int64)
    except FileNotFoundError:
        yield "a file that is missing"
    except (OSError, pa.ArrowException) as error:
        yield f"a file that cannot be read: {error}"
