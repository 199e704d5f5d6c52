"""Write and find sample sets in the store; each set is a folder ``handle=…/pool=…/run=<run id>``."""

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
# Field of a detached set's manifest: the run id of the set that replaced it.
REPLACED_BY = "replaced_by"
TRIES = 3
PROBE = "__probe__"
PROBE_CONTENT = b"\0" * 4096


@dataclass(frozen=True, slots=True)
class SetFolder:
    """The folder of a set; its path contains the handle of the model and the run id."""

    folder: str

    @property
    def run_id(self) -> str:
        """The id of the run that wrote the set."""
        return self.folder.rpartition("/run=")[2]

    @property
    def handle(self) -> str:
        """The handle of the set's model."""
        return self.folder.rpartition("/handle=")[2].partition("/")[0]


@dataclass(frozen=True, slots=True)
class StoredSet(SetFolder):
    """A set in the store: its folder and manifest; ``written`` means that this call wrote it."""

    manifest: Mapping[str, Any]
    written: bool = True

    @property
    def status(self) -> str:
        """``attached``, ``proposed``, ``rejected`` or ``detached``."""
        return str(self.manifest.get("status", ""))

    @property
    def replaces(self) -> tuple[str, ...]:
        """The run ids of the sets that this set replaced: our programs skip them from the moment it was attached."""
        return tuple(self.manifest.get("replaces", ())) if self.status in ("attached", "detached") else ()

    def as_detached(self) -> "StoredSet":
        """Return the set with the status ``detached``, as it will be after the detaching."""
        return StoredSet(self.folder, {**self.manifest, "status": "detached"}, self.written)

    @property
    def rows_name(self) -> str:
        """The name of the Parquet file with the samples; a replaced set keeps the old name until it is detached."""
        name = SAMPLES_NAMES.get(self.status, SAMPLES)
        return name if name in self.manifest.get("files", ()) else SAMPLES

    def file(self, name: str) -> str:
        """Return the path or URI of a file of the set."""
        return f"{self.folder}/{name}"


def locate_set(samples_uri: str, handle: str, pool: Pool, run_id: str) -> str:
    """Return the folder of a set."""
    return f"{locate_pool(samples_uri, handle, pool)}/run={run_id}"


def locate_pool(samples_uri: str, handle: str, pool: Pool) -> str:
    """Return the folder that holds a model's sets of one pool."""
    return f"{samples_uri.rstrip('/')}/handle={handle}/pool={pool}"


def check_writable(samples_uri: str) -> None:
    """Check that the store can be written before anything is paid for: write a small file and delete it.

    This detects a full disk and a key without write permission.

    Raises:
        StoreError: the store cannot be written.
    """
    probe = f"{samples_uri.rstrip('/')}/{PROBE}"
    filesystem, path = open_folder(samples_uri)
    with translate_errors(samples_uri):
        if isinstance(filesystem, fs.LocalFileSystem):
            # A file without a name: nothing remains of it, however the process ends.
            Path(path).mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=path, prefix=PROBE) as file:
                file.write(PROBE_CONTENT)
            return
        write_whole(probe, PROBE_CONTENT)
        delete_file(probe)


def write_set(samples_uri: str, sample_set: SampleSet, may_enter: Callable[[], bool] = lambda: True) -> StoredSet:
    """Commit a set to the store atomically; it replaces debris and a rejected set of the same run.

    Args:
        may_enter: returns whether the set may still be written; called while no other writer can add to the model.

    Returns:
        The set, or the existing set of this run id. ``written`` is False for an existing set, and if ``may_enter``
            returned False.

    Raises:
        StoreError: the store cannot be written, or an existing manifest cannot be read; nothing of the set remains.
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
    # The manifest is not read back: the set is committed even if the store fails a moment later.
    return StoredSet(folder, unseal(sealed))


def list_newer(samples_uri: str, handle: str, known: Collection[str]) -> tuple[str, ...]:
    """Return the run ids of a model's attached sets, in both pools, that are not in ``known``.

    Raises:
        OSError, pa.ArrowException, StoreError: a folder or manifest cannot be read.
    """
    run_ids: list[str] = []
    for pool in (locate_pool(samples_uri, handle, name) for name in get_args(Pool)):
        # A model may have thousands of sets, and usually none is new: names are compared before manifests are read.
        if new := {name.removeprefix("run=") for name in list_folders(pool)}.difference(known):
            run_ids += [stored.run_id for stored in list_in_pool(pool, ("attached",)) if stored.run_id in new]
    return tuple(run_ids)


def find_set(samples_uri: str, run_id: str) -> StoredSet | None:
    """Return the set of a run with the status in its manifest, from any model and pool; None if there is none.

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
    """Return the set of a run id that a person gave, like ``find_set``.

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
    """Return the folders of all pools of all models, sorted.

    Raises:
        StoreError: a folder cannot be listed.
    """
    root = samples_uri.rstrip("/")
    with translate_errors(samples_uri, UNREADABLE):
        handles = [name for name in list_folders(root) if name.startswith("handle=")]
        return [f"{root}/{name}/{pool}" for name in handles for pool in list_folders(f"{root}/{name}")]


def list_sets(samples_uri: str, handle: str, pool: Pool, statuses: Collection[str] = ("attached",)) -> list[StoredSet]:
    """Return the sets of a model in one pool, filtered by status, oldest first.

    Raises:
        StoreError: a folder or manifest cannot be read.
    """
    return list_in_pool(locate_pool(samples_uri, handle, pool), statuses)


def list_in_pool(pool: str, statuses: Collection[str]) -> list[StoredSet]:
    """Return the sets in a pool's folder, filtered by status, oldest first.

    Raises:
        StoreError: a folder or manifest cannot be read.
    """
    sets = _read_pool(pool)
    replaced = _find_replaced(sets)
    sets = [stored.as_detached() if stored.folder in replaced else stored for stored in sets]
    selected = (stored for stored in sets if stored.status in statuses)
    return sorted(selected, key=lambda stored: (str(stored.manifest.get("created_at", "")), stored.folder))


def list_replaced(pool: str) -> list[tuple[StoredSet, str]]:
    """Return the attached sets in a pool's folder that another set has replaced, each with the run id of that set.

    Readers treat them as detached. They are detached a moment later, or when the next run of the model begins.

    Raises:
        StoreError: a folder or manifest cannot be read.
    """
    sets = _read_pool(pool)
    replaced = _find_replaced(sets)
    return [(stored, replaced[stored.folder]) for stored in sets if stored.folder in replaced]


def describe_sets(sets: Collection[StoredSet]) -> str:
    """Return a count such as “2 sets (64 samples)”, from the manifests."""
    return f"{count_noun(len(sets), 'set')} ({count_noun(count_stored(sets), 'sample')})"


def count_stored(sets: Iterable[StoredSet]) -> int:
    """Return the number of samples in some sets, from the manifests."""
    return sum(sum(poles.values()) for stored in sets for poles in stored.manifest.get("counts", {}).values())


def read_document(stored: StoredSet, name: str) -> Mapping[str, Any]:
    """Return the content of a set's JSON file, such as its verdict; empty if the set has no such file.

    Raises:
        StoreError: the file cannot be read.
    """
    if name not in stored.manifest["files"]:
        return {}
    with translate_errors(stored.folder, UNREADABLE):
        document: Mapping[str, Any] = json.loads(read_bytes(stored.file(name)))
    return document


def digest_sets(sets: Sequence[StoredSet]) -> tuple[str, ...]:
    """Return the digest of each attached set's row ids, in order; equal rows have equal digests under any run id."""
    return tuple(str(stored.manifest["rows_sha256"]) for stored in sets)


def _read_pool(pool: str) -> list[StoredSet]:
    for _ in range(TRIES):
        with translate_errors(pool, UNREADABLE):
            versions = find_manifests(*open_folder(pool))
        folders = ((f"{pool}/{name}", version) for name, version in versions.items() if name.startswith("run="))
        sets = [StoredSet(folder, _read_manifest(folder, version), written=False) for folder, version in folders]
        # A set that was replaced after the listing is detached, and the listing lacks its replacement: list again.
        if all(f"run={run}" in versions for stored in sets if (run := stored.manifest.get(REPLACED_BY))):
            break
    return sets


def _find_replaced(sets: Sequence[StoredSet]) -> dict[str, str]:
    replacing = {run: stored.run_id for stored in sets for run in stored.replaces}
    attached = (stored for stored in sets if stored.status == "attached")
    return {item.folder: replacing[item.run_id] for item in attached if item.run_id in replacing}


# The cache is safe: a manifest is never changed in place, and its replacement has another time or another size.
@lru_cache(maxsize=4096)
def _read_manifest(folder: str, _version: tuple[int, int]) -> Mapping[str, Any]:
    """Return the manifest with this time and size; empty if it no longer exists."""
    return read_manifest(folder) or {}


@contextmanager
def explain_damage(stored: StoredSet, name: str | None = None) -> Iterator[None]:
    """Translate errors that occur while a set is read into a ``StoreError`` with a remedy.

    Args:
        name: the file that is read; None for the file with the set's samples.
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
            "were altered or damaged since they were written. Restore the file from a copy, or detach the set "
            f"with `exemplars detach {stored.run_id}`; then start again"
        ) from error


@contextmanager
def translate_errors(place: str, remedy: str = UNWRITABLE) -> Iterator[None]:
    """Translate errors of a store's file system into a ``StoreError`` with a remedy."""
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        message = getattr(error, "strerror", None) or str(error)
        raise StoreError(f"The sample store {place} cannot be used: {message}. {remedy}") from error
