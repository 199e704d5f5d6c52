"""Verify every byte of a sample store, and report each fault with its place and remedy: ``exemplars verify``.

A set's manifest is sealed and has the digest of each file, so a file with the right digest is as it was written.
An unfinished change is not a fault: our programs skip it, and the model's next run completes it or undoes it.
"""

import hashlib
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, get_args

import numpy as np
import pyarrow as pa
from pyarrow import fs

from engine.domain.model import Pool
from engine.errors import StoreError
from engine.store.changes import read_left
from engine.store.commit import STAGING, is_attached
from engine.store.layout import BACKFILLS, DECISIONS, DETACHED, MANIFEST, SAMPLES
from engine.store.proposals import STATUSES
from engine.store.sample_set import SAMPLES_NAMES, read_manifest
from engine.store.store import PROBE, UNREADABLE, list_replaced, translate_errors
from engine.store.writers import WRITERS
from engine.system.filesystem import is_part, list_below, open_folder, open_whole
from engine.system.parquet import read_table

# A change in progress takes some milliseconds.
TRIES, PAUSE_SECONDS = 2, 0.1
DEBRIS = "The next run of this model removes it, unless the run that writes it is still running"
RESTORE = "Restore it from a copy, or detach the set with `exemplars detach {run_id}`"
LOST = (
    "Restore it from a copy, or move the set's folder out of the store: until then no run can use the model. The set "
    "cannot be generated again, since its inputs are known only from its manifest"
)
REMOVE = "Remove it: no run wrote it"
Ids = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault of the store: its description, place and remedy."""

    what: str
    where: str
    remedy: str


@dataclass(slots=True)
class StoreVerifier:
    """A check of a store: ``find_faults`` yields its faults; the other fields count what was read."""

    samples_uri: str
    models: int = 0
    sets: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STATUSES, 0))
    samples: int = 0
    size_bytes: int = 0

    def find_faults(self) -> Iterator[Fault]:
        """Yield all faults, in the order of the store's folders.

        Raises:
            StoreError: the store cannot be listed.
        """
        root = self.samples_uri.rstrip("/")
        for info in _list_sorted(root):
            if info.base_name.startswith("handle=") and info.type == fs.FileType.Directory:
                yield from self._walk_model(f"{root}/{info.base_name}")
            elif not is_part(info.base_name) and not info.base_name.startswith((STAGING, PROBE, BACKFILLS, WRITERS)):
                yield _make_stray_fault(f"{root}/{info.base_name}")

    def _walk_model(self, uri: str) -> Iterator[Fault]:
        self.models += 1
        ids: dict[str, Ids] = {}
        for info in _list_sorted(uri):
            if info.base_name.removeprefix("pool=") not in get_args(Pool) or info.type != fs.FileType.Directory:
                yield _make_stray_fault(f"{uri}/{info.base_name}")
                continue
            for run in _list_sorted(f"{uri}/{info.base_name}"):
                place = f"{uri}/{info.base_name}/{run.base_name}"
                if not run.base_name.startswith("run=") or run.type != fs.FileType.Directory:
                    yield _make_stray_fault(place)
                    continue
                checked = self._check_set(place)
                yield from checked.faults
                if checked.status == "attached":
                    ids[place] = checked.ids
            # Readers already treat replaced sets as detached.
            with suppress(StoreError):
                for stored, _ in list_replaced(f"{uri}/{info.base_name}"):
                    ids.pop(stored.folder, None)
        yield from _find_duplicates(ids)

    def _check_set(self, place: str) -> "_SetCheck":
        """Check a set; if it has faults, check it again, since it may have been changed during the check."""
        checked = _SetCheck(place)
        for _ in range(TRIES if checked.faults else 0):
            time.sleep(PAUSE_SECONDS)
            checked = _SetCheck(place)
        if checked.status in self.sets:
            self.sets[checked.status] += 1
        self.samples += len(checked.ids) if checked.status == "attached" else 0
        self.size_bytes += checked.size_bytes
        return checked


class _SetCheck:
    """The checks of a set that do not need its model; ``ids`` are the ids of its samples, 8 bytes each."""

    def __init__(self, place: str) -> None:
        self.status, self.faults, self.size_bytes = "", list[Fault](), 0
        self.ids: Ids = np.empty(0, np.int64)
        self._place = place
        filesystem, path = open_folder(place)
        infos = list_below(filesystem, path, recursive=True)
        names = {info.path.removeprefix(f"{path}/") for info in infos if info.type == fs.FileType.File}
        try:
            manifest = read_manifest(place)
        except StoreError as error:
            self._add(str(error.__cause__ or error), MANIFEST, LOST)
            return
        if manifest is None:
            if filesystem.get_file_info(path).type != fs.FileType.NotFound:
                self._add("debris: a set without a manifest", "", DEBRIS)
            return
        self.status = manifest["status"]
        for key, part in zip(("handle", "pool", "run_id"), place.split("/")[-3:], strict=True):
            if manifest[key] != (value := part.partition("=")[2]):
                fault = f"{key} is {manifest[key]!r}, but the folder says {value!r}"
                self._add(fault, MANIFEST, "Move the folder to the place that its manifest names")
        self._check_listing(names, manifest)
        for name, entry in manifest["files"].items():
            self._check_file(name, entry, manifest)

    def _add(self, what: str, name: str, remedy: str) -> None:
        run_id = self._place.rpartition("/run=")[2]
        self.faults.append(Fault(what, f"{self._place}/{name}".rstrip("/"), remedy.format(run_id=run_id)))

    def _check_listing(self, names: set[str], manifest: Mapping[str, Any]) -> None:
        # An unfinished detach or attach leaves samples or a copy behind.
        begun = {"attached": {DETACHED}, "detached": {SAMPLES}, "proposed": {SAMPLES}}.get(self.status, set())
        for name in sorted(names - {MANIFEST, DECISIONS, *begun, *manifest["files"]}):
            if not is_part(name):
                self._add("a file that is not in the manifest", name, REMOVE)

    def _check_file(self, name: str, entry: Mapping[str, Any], manifest: Mapping[str, Any]) -> None:
        has_samples = name == SAMPLES_NAMES.get(self.status)
        try:
            with open_whole(f"{self._place}/{name}") as source:
                size = source.size()
                self.size_bytes += size
                rest = None
                if size != entry["bytes"] and has_samples and is_attached(manifest):
                    rest = read_left(bytes(source.read()), manifest)
                if rest is not None:
                    self.ids = np.asarray(rest["id"], np.int64)
                elif size != entry["bytes"]:
                    fault = f"a file that was altered: {size} bytes, but the manifest says {entry['bytes']}"
                    self._add(fault, name, RESTORE)
                elif hashlib.file_digest(source, "sha256").hexdigest() != entry["sha256"]:
                    self._add("a file that was altered: different bytes of the same length", name, RESTORE)
                elif has_samples:
                    source.seek(0)
                    self.ids = np.asarray(read_table(source, ["id"])["id"], np.int64)
        except FileNotFoundError:
            self._add("a file that is missing", name, RESTORE)
        except (OSError, pa.ArrowException) as error:
            self._add(f"a file that cannot be read: {error}", name, RESTORE)


def _find_duplicates(ids: Mapping[str, Ids]) -> Iterator[Fault]:
    """Yield a fault for each set with samples that are attached to the model more than once, in either pool."""
    if not ids:
        return
    values, counts = np.unique(np.concatenate(list(ids.values())), return_counts=True)
    twice = values[counts > 1]
    for place, set_ids in ids.items():
        repeated = np.unique(set_ids[np.isin(set_ids, twice)])
        if repeated.size:
            yield Fault(
                f"{repeated.size} samples that are attached more than once, such as id {repeated[0]}",
                place,
                f"Detach one of their sets, for example this one: `exemplars detach {place.rpartition('/run=')[2]}`",
            )


def _list_sorted(place: str) -> list[fs.FileInfo]:
    with translate_errors(place, UNREADABLE):
        return sorted(list_below(*open_folder(place)), key=lambda info: str(info.path))


def _make_stray_fault(place: str) -> Fault:
    return Fault("not part of a sample store", place, "Move it elsewhere: programs that read whole folders may read it")
