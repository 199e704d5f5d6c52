"""The sample store: writes and finds sample sets, each a folder ``handle=…/pool=…/run=<run id>``."""

import json
import tempfile
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, get_args

import pyarrow as pa
from pyarrow import fs

from engine.domain.model import Pool
from engine.errors import InputError, StoreError
from engine.store.commit import commit_files, find_manifests, is_attached
from engine.store.layout import MANIFEST, SAMPLES
from engine.store.sample_set import (
    ATTACHED_NS,
    SAMPLES_NAMES,
    WRITTEN_NS,
    SampleSet,
    read_manifest,
    render_set,
    seal,
    unseal,
)
from engine.store.writers import lock_model
from engine.system.filesystem import delete_file, list_folders, open_folder, read_bytes, write_whole
from engine.text.formatting import count_noun

UNWRITABLE = (
    "Free space or permit writing, or point EXEMPLARS_SAMPLES_URI elsewhere. The kept replies are not lost: the next "
    "start continues from them"
)
UNREADABLE = (
    "Permit reading, see that its server answers, or point EXEMPLARS_SAMPLES_URI elsewhere. The kept replies are "
    "not lost: the next start continues from them"
)
# The field of the manifest of a detached set that names the run whose set has replaced it.
REPLACED_BY = "replaced_by"
TRIES = 3
PROBE = "__probe__"
PROBE_CONTENT = b"\0" * 4096


@dataclass(frozen=True, slots=True)
class SetFolder:
    """The folder of a set, whose path tells its model and its run."""

    folder: str

    @property
    def run_id(self) -> str:
        """The run that left it."""
        return self.folder.rpartition("/run=")[2]

    @property
    def handle(self) -> str:
        """The model's handle."""
        return self.folder.rpartition("/handle=")[2].partition("/")[0]


@dataclass(frozen=True, slots=True)
class StoredSet(SetFolder):
    """A set in the store: its folder, its manifest, and whether this call wrote it."""

    manifest: Mapping[str, Any]
    written: bool = True

    @property
    def status(self) -> str:
        """``attached``, ``proposed``, ``rejected`` or ``detached``."""
        return str(self.manifest.get("status", ""))

    @property
    def replaces(self) -> tuple[str, ...]:
        """The runs whose sets no reader of ours looks at since this one was attached."""
        return tuple(self.manifest.get("replaces", ())) if self.status in ("attached", "detached") else ()

    def as_detached(self) -> "StoredSet":
        """The set as it will be once it is detached."""
        return StoredSet(self.folder, {**self.manifest, "status": "detached"}, self.written)

    @property
    def rows_name(self) -> str:
        """The name of the Parquet file with its samples, which is not moved yet where the set was only replaced."""
        name = SAMPLES_NAMES.get(self.status, SAMPLES)
        return name if name in self.manifest.get("files", ()) else SAMPLES

    def file(self, name: str) -> str:
        """The path or URI of one of its files."""
        return f"{self.folder}/{name}"


def locate_set(samples_uri: str, handle: str, pool: Pool, run_id: str) -> str:
    """The folder of a set."""
    return f"{locate_pool(samples_uri, handle, pool)}/run={run_id}"


def locate_pool(samples_uri: str, handle: str, pool: Pool) -> str:
    """The folder of a model's sets of one pool."""
    return f"{samples_uri.rstrip('/')}/handle={handle}/pool={pool}"


def check_writable(samples_uri: str) -> None:
    """Checks that the store can be written, before anything is paid for, by writing and deleting a small file.

    A full disk or a key that may only read shows itself then.

    Raises:
        StoreError: the store cannot be written.
    """
    probe = f"{samples_uri.rstrip('/')}/{PROBE}"
    filesystem, path = open_folder(samples_uri)
    with translate_errors(samples_uri):
        if isinstance(filesystem, fs.LocalFileSystem):
            # Of no name, so that nothing is left of it whatever ends the process.
            Path(path).mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=path, prefix=PROBE) as file:
                file.write(PROBE_CONTENT)
            return
        write_whole(probe, PROBE_CONTENT)
        delete_file(probe)


def write_set(samples_uri: str, sample_set: SampleSet, may_enter: Callable[[], bool] = lambda: True) -> StoredSet:
    """Commits a set to the store atomically; a rejected set of the same run, or debris, makes room.

    Args:
        may_enter: whether the set may still be put there, asked while nobody else adds to the model.

    Returns:
        The set, or the one of this run id that stands there; it is not ``written`` where it may not enter either.

    Raises:
        StoreError: the store cannot be written, or the manifest that is there already not read; nothing of the set is
            left in it.
    """
    stamp = sample_set.stamp
    folder = locate_set(samples_uri, stamp.handle, sample_set.pool, stamp.run_id)
    files, manifest = render_set(sample_set)
    with translate_errors(samples_uri), lock_model(folder) as confirm:
        earlier = read_manifest(folder)
        if (earlier is not None and earlier["status"] != "rejected") or not may_enter():
            return StoredSet(folder, earlier or {}, written=False)
        names = (ATTACHED_NS, WRITTEN_NS) if is_attached(manifest) else (WRITTEN_NS,)
        sealed = seal({**manifest, **dict.fromkeys(names, time.time_ns())})
        commit_files(folder, {**files, MANIFEST: sealed}, confirm)
    # What was written is not read again: if the store fails a moment later, the set is committed nevertheless.
    return StoredSet(folder, unseal(sealed))


def list_newer(samples_uri: str, handle: str, known: Collection[str]) -> tuple[str, ...]:
    """The runs with an attached set of a model, in either pool, that are not among the known ones.

    Raises:
        OSError, pa.ArrowException, StoreError: a folder or manifest cannot be read.
    """
    found: list[str] = []
    for pool in (locate_pool(samples_uri, handle, name) for name in get_args(Pool)):
        # A model may have thousands of sets, of which mostly none is new.
        if new := {name.removeprefix("run=") for name in list_folders(pool)}.difference(known):
            found += [stored.run_id for stored in list_in_pool(pool, ("attached",)) if stored.run_id in new]
    return tuple(found)


def find_set(samples_uri: str, run_id: str) -> StoredSet | None:
    """The set of a run as its manifest has it, whatever its status, model and pool; None if there is none.

    Raises:
        StoreError: a folder or manifest cannot be read.
    """
    if "/" in run_id:
        return None
    for pool in list_pools(samples_uri):
        if (manifest := read_manifest(f"{pool}/run={run_id}")) is not None:
            return StoredSet(f"{pool}/run={run_id}", manifest, written=False)
    return None


def get_set(samples_uri: str, run_id: str) -> StoredSet:
    """``find_set`` of a run that a person has named.

    Raises:
        InputError: there is no such set. StoreError: as ``find_set``.
    """
    if (stored := find_set(samples_uri, run_id)) is None:
        raise InputError(
            f"{samples_uri} has no set of run {run_id!r}. The run id is the last part of a set's folder, run=<run id>. "
            "Set EXEMPLARS_SAMPLES_URI to look in another store"
        )
    return stored


def list_pools(samples_uri: str) -> list[str]:
    """The folders of all pools of all models, sorted.

    Raises:
        StoreError: a folder cannot be listed.
    """
    root = samples_uri.rstrip("/")
    with translate_errors(samples_uri, UNREADABLE):
        handles = [name for name in list_folders(root) if name.startswith("handle=")]
        return [f"{root}/{name}/{pool}" for name in handles for pool in list_folders(f"{root}/{name}")]


def list_sets(samples_uri: str, handle: str, pool: Pool, statuses: Collection[str] = ("attached",)) -> list[StoredSet]:
    """The sets of a model in one pool that have one of these statuses, in the order of their creation.

    Raises:
        StoreError: a folder or manifest cannot be read.
    """
    return list_in_pool(locate_pool(samples_uri, handle, pool), statuses)


def list_in_pool(pool: str, statuses: Collection[str]) -> list[StoredSet]:
    """The sets in the folder of a pool that have one of these statuses, in the order of their creation.

    Raises:
        StoreError: a folder or manifest cannot be read.
    """
    sets = _read_pool(pool)
    replaced = _find_replaced(sets)
    sets = [stored.as_detached() if stored.folder in replaced else stored for stored in sets]
    wanted = (stored for stored in sets if stored.status in statuses)
    return sorted(wanted, key=lambda stored: (str(stored.manifest.get("created_at", "")), stored.folder))


def list_replaced(pool: str) -> list[tuple[StoredSet, str]]:
    """The attached sets in the folder of a pool that another one has replaced, each with the run of that one: readers
    take them for detached, which they will be a moment later, or once the next run of the model begins.

    Raises:
        StoreError: a folder or manifest cannot be read.
    """
    sets = _read_pool(pool)
    replaced = _find_replaced(sets)
    return [(stored, replaced[stored.folder]) for stored in sets if stored.folder in replaced]


def describe_sets(sets: Collection[StoredSet]) -> str:
    """“2 sets (64 samples)”, by the manifests."""
    return f"{count_noun(len(sets), 'set')} ({count_noun(count_stored(sets), 'sample')})"


def count_stored(sets: Iterable[StoredSet]) -> int:
    """How many samples sets have, by the manifests."""
    return sum(sum(poles.values()) for stored in sets for poles in stored.manifest.get("counts", {}).values())


def read_document(stored: StoredSet, name: str) -> Mapping[str, Any]:
    """What a JSON file of a set says, such as its verdict; empty for a set without it.

    Raises:
        StoreError: it cannot be read.
    """
    if name not in stored.manifest["files"]:
        return {}
    with translate_errors(stored.folder, UNREADABLE):
        found: Mapping[str, Any] = json.loads(read_bytes(stored.file(name)))
    return found


def digest_sets(sets: Sequence[StoredSet]) -> tuple[str, ...]:
    """The digest of each attached set's row ids, in order; it is the same for the same rows under another run id."""
    return tuple(str(stored.manifest["rows_sha256"]) for stored in sets)


def _read_pool(pool: str) -> list[StoredSet]:
    for _ in range(TRIES):
        with translate_errors(pool, UNREADABLE):
            found = find_manifests(*open_folder(pool))
        read = ((f"{pool}/{name}", version) for name, version in found.items() if name.startswith("run="))
        sets = [StoredSet(folder, _read_manifest(folder, version), written=False) for folder, version in read]
        # One that was replaced since the listing is not there any more, and what has replaced it not yet.
        if all(f"run={run}" in found for stored in sets if (run := stored.manifest.get(REPLACED_BY))):
            break
    return sets


def _find_replaced(sets: Sequence[StoredSet]) -> dict[str, str]:
    by = {run: stored.run_id for stored in sets for run in stored.replaces}
    return {item.folder: by[item.run_id] for item in sets if item.run_id in by and item.status == "attached"}


# Safe to keep: a manifest is never changed in place, and one that replaces it has another time or another size.
@lru_cache(maxsize=4096)
def _read_manifest(folder: str, _version: tuple[int, int]) -> Mapping[str, Any]:
    """The manifest of this time and size; empty where it is gone by now."""
    return read_manifest(folder) or {}


@contextmanager
def explain_damage(stored: StoredSet, name: str | None = None) -> Iterator[None]:
    """Translates what fails while a set is read into a ``StoreError`` that says what helps.

    Args:
        name: the file that is read; None for that of its samples.
    """
    try:
        yield
    except (OSError, pa.ArrowException, KeyError, ValueError, TypeError, AttributeError) as error:
        why = "the file is gone" if isinstance(error, FileNotFoundError) else str(error)
        if name not in (None, stored.rows_name):
            raise StoreError(
                f"A file of the set of run {stored.run_id} cannot be read: {stored.file(str(name))}: {why}. It was "
                "altered or damaged since it was written. Restore it from a copy"
            ) from error
        place = stored.file(stored.rows_name)
        raise StoreError(
            f"The samples of run {stored.run_id}, attached to {stored.handle}, cannot be read: {place}: {why}. They "
            "were altered or damaged since they were written. Restore the file from a copy, or take the set off "
            f"the model with `exemplars detach {stored.run_id}`; then start again"
        ) from error


@contextmanager
def translate_errors(place: str, remedy: str = UNWRITABLE) -> Iterator[None]:
    """Translates what the file system of a store raises into a ``StoreError`` that says what to do."""
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        said = getattr(error, "strerror", None) or str(error)
        raise StoreError(f"The sample store {place} cannot be used: {said}. {remedy}") from error
