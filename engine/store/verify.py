"""Verifies a sample store, every byte of it, and reports each fault with its place and remedy: ``exemplars verify``.

A set's manifest is sealed and has the digest of each file, so rows in a file with its digest are as they were written.
"""

import hashlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeGuard, get_args

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from engine.domain.model import Pool
from engine.errors import StoreError
from engine.store.changes import read_left
from engine.store.commit import STAGING, is_attached, list_stale
from engine.store.layout import BACKFILLS, DECISIONS, DETACHED, MANIFEST, SAMPLES
from engine.store.proposals import STATUSES
from engine.store.sample_set import SAMPLES_NAMES, read_manifest
from engine.store.store import PROBE
from engine.store.writers import WRITERS
from engine.system.filesystem import is_part, list_below, open_folder, open_whole

# A change that goes on takes some milliseconds.
TRIES, PAUSE_SECONDS = 3, 0.1
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


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is broken: what is wrong, where, and what to do."""

    what: str
    where: str
    remedy: str


@dataclass(slots=True)
class _SetFacts:
    """The result of checking one set; ``ids`` are the ids of its samples."""

    status: str = ""
    faults: list[FoundFault] = field(default_factory=list)
    ids: Ids = field(default_factory=lambda: np.empty(0, np.int64))
    size_bytes: int = 0


@dataclass(slots=True)
class StoreVerifier:
    """Checks a store: ``find_faults`` yields its faults, and the other fields count what it has seen so far."""

    samples_uri: str
    models: int = 0
    sets: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STATUSES, 0))
    samples: int = 0
    size_bytes: int = 0
    broken: int = 0

    def find_faults(self) -> Iterator[Fault]:
        """Yields everything that is broken, in the order of the store's folders.

        Raises:
            StoreError: the store cannot be listed.
        """
        for fault in self._walk_store():
            self.broken += 1
            yield fault

    def _walk_store(self) -> Iterator[Fault]:
        root = self.samples_uri.rstrip("/")
        filesystem, path = open_folder(root)
        temporary = list_stale(Path(path), datetime.now(UTC)) if isinstance(filesystem, fs.LocalFileSystem) else []
        for left in temporary:
            yield Fault("left by a process that is gone", str(left), "The next run takes it away")
        for info in _list_sorted(filesystem, path):
            if info.base_name.startswith("handle=") and info.type == fs.FileType.Directory:
                yield from self._walk_model(filesystem, f"{root}/{info.base_name}")
            elif not info.base_name.startswith((STAGING, PROBE, BACKFILLS, WRITERS)):
                yield _make_stray_fault(f"{root}/{info.base_name}")

    def _walk_model(self, filesystem: fs.FileSystem, uri: str) -> Iterator[Fault]:
        self.models += 1
        ids: dict[str, Ids] = {}
        for info in _list_sorted(filesystem, open_folder(uri)[1]):
            pool = info.base_name.removeprefix("pool=")
            if pool not in get_args(Pool) or info.type != fs.FileType.Directory:
                yield _make_stray_fault(f"{uri}/{info.base_name}")
                continue
            for run in _list_sorted(filesystem, info.path):
                place = f"{uri}/{info.base_name}/{run.base_name}"
                if not run.base_name.startswith("run=") or run.type != fs.FileType.Directory:
                    yield _make_stray_fault(place)
                    continue
                facts = self._check_set(filesystem, place, run.path)
                run_id = run.base_name.removeprefix("run=")
                for what, name, fix in facts.faults:
                    yield Fault(what, f"{place}/{name}".rstrip("/"), fix.format(run_id=run_id))
                if facts.status == "attached":
                    ids[place] = facts.ids
        yield from _find_duplicates(ids)

    def _check_set(self, filesystem: fs.FileSystem, place: str, path: str) -> _SetFacts:
        """Checks one set, and again where it may have changed meanwhile, as when a run ends or somebody detaches it."""
        for _ in range(TRIES):
            before = _read_manifest_or_none(place)
            facts = _check_set_once(filesystem, place, path)
            is_changing = any(remedy == FINISH for _, _, remedy in facts.faults)
            if not facts.faults or (before == _read_manifest_or_none(place) and not is_changing):
                break
            time.sleep(PAUSE_SECONDS)
        if facts.status in self.sets:
            self.sets[facts.status] += 1
        self.samples += len(facts.ids) if facts.status == "attached" else 0
        self.size_bytes += facts.size_bytes
        return facts


def _check_set_once(filesystem: fs.FileSystem, place: str, path: str) -> _SetFacts:
    """Checks everything about a set that can be checked without its model. Memory use is 8 bytes for each row.

    Args:
        place: the set's folder or URI, as people write it.
        path: the same folder as a path within ``filesystem``.
    """
    facts = _SetFacts()
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
    for key, part in zip(("handle", "pool", "run_id"), place.split("/")[-3:], strict=True):
        value = part.partition("=")[2]
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
    facts: _SetFacts,
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


def _find_duplicates(ids: Mapping[str, Ids]) -> Iterator[Fault]:
    """Samples that are attached more than once to one model, in one set or several, training and evaluation alike."""
    if not ids:
        return
    values, counts = np.unique(np.concatenate(list(ids.values())), return_counts=True)
    twice = values[counts > 1]
    if not twice.size:
        return
    for place, own in ids.items():
        found = np.unique(own[np.isin(own, twice)])
        if found.size:
            yield Fault(
                f"{found.size} samples that are attached more than once, such as id {found[0]}",
                place,
                f"Detach one of the sets that have them, this one by `exemplars detach {place.rpartition('/run=')[2]}`",
            )


def _list_sorted(filesystem: fs.FileSystem, path: str) -> list[fs.FileInfo]:
    try:
        return sorted(list_below(filesystem, path), key=lambda info: str(info.path))
    except (OSError, pa.ArrowException) as error:
        raise StoreError(f"The sample store {path} cannot be listed: {error}") from error


def _make_stray_fault(place: str) -> Fault:
    return Fault("not part of a sample store", place, "Move it elsewhere: programs that read whole folders may read it")


def _read_manifest_or_none(place: str) -> object:
    try:
        return read_manifest(place)
    except StoreError:
        return None
