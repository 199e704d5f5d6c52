"""Verifies a whole sample store and reports each fault with its place and its remedy, for ``exemplars verify``."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import numpy as np
import pyarrow as pa
from pyarrow import fs

from engine.domain.model import Pool
from engine.errors import StoreError
from engine.store.commit import STAGING, list_stale
from engine.store.layout import BACKFILLS
from engine.store.proposals import STATUSES
from engine.store.sample_set import read_manifest
from engine.store.store import PROBE
from engine.store.upkeep.verify_set import FINISH, Ids, SetFacts, check_set
from engine.store.writers import WRITERS
from engine.system.filesystem import list_below, open_folder

# A change that goes on takes some milliseconds.
TRIES, PAUSE_SECONDS = 3, 0.1


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is broken: what is wrong, where, and what to do."""

    what: str
    where: str
    remedy: str


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

    def _check_set(self, filesystem: fs.FileSystem, place: str, path: str) -> SetFacts:
        """Checks one set, and again where it may have changed meanwhile, as when a run ends or somebody detaches it."""
        for _ in range(TRIES):
            before = _read_manifest_or_none(place)
            facts = check_set(filesystem, place, path)
            is_changing = any(remedy == FINISH for _, _, remedy in facts.faults)
            if not facts.faults or (before == _read_manifest_or_none(place) and not is_changing):
                break
            time.sleep(PAUSE_SECONDS)
        if facts.status in self.sets:
            self.sets[facts.status] += 1
        self.samples += len(facts.ids) if facts.status == "attached" else 0
        self.size_bytes += facts.size_bytes
        return facts


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
