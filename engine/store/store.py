"""The sample store: where the sets of all models stand, each a folder ``handle=<handle>/pool=<pool>/run=<run id>``."""

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from engine.definitions.lifecycle import LIFECYCLE_FILE, Lifecycle, read_lifecycle
from engine.domain.model import Attached, Pool
from engine.errors import FrozenModelError, InputError, StoreError
from engine.store.commit import commit_set, detach_files
from engine.store.sample_set import DETACHED, MANIFEST, SAMPLES, SampleSet, read_manifest, render_files, unseal
from engine.store.staging import PROBE, PROBE_BYTES, probe_folder
from engine.system.filesystem import check_folder_writable, list_folders, open_folder

_READ_COLUMNS = ["trait", "text", "quality", "scenario", "seed_sha256"]


@dataclass(frozen=True, slots=True)
class StoredSet:
    """A set that stands in the store: its folder, its manifest, and whether this call put it there."""

    folder: str
    manifest: Mapping[str, Any]
    written: bool = True

    @property
    def run_id(self) -> str:
        """The run that left it."""
        return str(self.manifest.get("run_id", ""))

    @property
    def handle(self) -> str:
        """The model, as the set's place in the store has it."""
        return self.folder.rpartition("/handle=")[2].partition("/")[0]

    @property
    def status(self) -> str:
        """``attached``, ``rejected`` or ``detached``."""
        return str(self.manifest.get("status", ""))

    @property
    def rows_name(self) -> str:
        """The name of the file that has its samples."""
        return DETACHED if self.status == "detached" else SAMPLES

    def file(self, name: str) -> str:
        """The path or URI of one of its files."""
        return f"{self.folder}/{name}"


def locate_set(samples_uri: str, handle: str, pool: Pool, run_id: str) -> str:
    """The folder of a set."""
    return f"{locate_pool(samples_uri, handle, pool)}/run={run_id}"


def locate_pool(samples_uri: str, handle: str, pool: Pool) -> str:
    """The folder of a model's sets of one pool."""
    return f"{samples_uri.rstrip('/')}/handle={handle}/pool={pool}"


def check_writable(samples_uri: str, probe: bool = True) -> None:
    """Tries the store before anything is paid for: a folder and a file are made in it and taken away again.

    Args:
        probe: False asks for the permission only and makes nothing.

    Raises:
        StoreError: it cannot be written.
    """
    filesystem, path = open_folder(samples_uri)
    with _translate(samples_uri):
        if not isinstance(filesystem, fs.LocalFileSystem):
            filesystem.get_file_info(path)
            if probe:
                _probe_remote(filesystem, path)
        elif probe:
            probe_folder(Path(path))
        else:
            check_folder_writable(Path(path))


def write_set(samples_uri: str, sample_set: SampleSet) -> StoredSet:
    """Puts a set into the store in one move; an attached set of the same run id stays as it is.

    Raises:
        StoreError: the store cannot be written; nothing of the set is left in it.
    """
    stamp = sample_set.stamp
    folder = locate_set(samples_uri, stamp.handle, sample_set.pool, stamp.run_id)
    files = render_files(sample_set)
    with _translate(samples_uri):
        written = commit_set(folder, files)
    # What was written is not read again: a store that breaks a moment later has the set all the same.
    manifest = unseal(files[MANIFEST]) if written else read_manifest(folder) or {}
    return StoredSet(folder, manifest, written)


def detach_stored(stored: StoredSet) -> bool:
    """Takes an attached set away from all readers; its folder, its report and its rows stay. False where it is gone.

    Raises:
        StoreError: the store cannot be read or written; then the set is still attached, or the next run ends the move.
    """
    with _translate(stored.folder):
        return detach_files(stored.folder, stored.manifest)


def find_set(samples_uri: str, run_id: str) -> StoredSet | None:
    """The set of a run, of whatever status, model and pool; None where there is none.

    Raises:
        StoreError: a folder or manifest that cannot be read.
    """
    if "/" in run_id:
        return None
    for pool in list_pools(samples_uri):
        manifest = read_manifest(f"{pool}/run={run_id}")
        if manifest is not None:
            return StoredSet(f"{pool}/run={run_id}", manifest, written=False)
    return None


def list_pools(samples_uri: str) -> list[str]:
    """The folders of all pools of all models, sorted.

    Raises:
        StoreError: a folder that cannot be listed.
    """
    root = samples_uri.rstrip("/")
    with _translate(samples_uri):
        handles = [name for name in list_folders(root) if name.startswith("handle=")]
        return [f"{root}/{name}/{pool}" for name in handles for pool in list_folders(f"{root}/{name}")]


def read_file(uri: str) -> bytes:
    """The bytes of one file of a set.

    Raises:
        StoreError: it cannot be read.
    """
    filesystem, path = open_folder(uri)
    with _translate(uri), filesystem.open_input_file(path) as stream:
        return bytes(stream.read())


def list_sets(samples_uri: str, handle: str, pool: Pool, statuses: Sequence[str] = ("attached",)) -> list[StoredSet]:
    """The attached sets of a model, or those of other statuses, in the order of their creation.

    Raises:
        StoreError: a folder or manifest that cannot be read.
    """
    parent = locate_pool(samples_uri, handle, pool)
    found = []
    with _translate(samples_uri):
        names = list_folders(parent)
    for name in names:
        manifest = read_manifest(f"{parent}/{name}") if name.startswith("run=") else None
        if manifest is not None and manifest.get("status") in statuses:
            found.append(StoredSet(f"{parent}/{name}", manifest, written=False))
    return sorted(found, key=lambda stored: (str(stored.manifest.get("created_at", "")), stored.folder))


def read_attached(sets: Sequence[StoredSet]) -> tuple[Attached, ...]:
    """The samples of some sets, in order.

    Raises:
        StoreError: a set whose file is missing, is not Parquet, or is not the one that its manifest names.
    """
    samples: list[Attached] = []
    for stored in sets:
        with _translate(stored.folder):
            table = _read_rows(stored)
        samples += [
            Attached(
                trait=row["trait"],
                text=row["text"],
                quality=row["quality"],
                subject=json.loads(row["scenario"]).get("subject", ""),
                seed_sha256=row["seed_sha256"],
            )
            for row in table.to_pylist()
        ]
    return tuple(samples)


def digest_sets(sets: Sequence[StoredSet]) -> tuple[str, ...]:
    """A digest for each attached set that does not change with its run id: of its rows' ids, in order."""
    return tuple(str(stored.manifest["rows_sha256"]) for stored in sets)


def find_detachable(models_uri: str, samples_uri: str, run_id: str) -> StoredSet:
    """The attached set of a run, on a model that is a draft.

    A pool for evaluation, which is attached to nothing, may be taken away from any model, as it may be added to any.

    Raises:
        InputError: there is no such set, or it is not attached. FrozenModelError: the model is no draft.
        DefinitionError: its lifecycle cannot be understood. StoreError: the store cannot be read.
    """
    stored = find_set(samples_uri, run_id)
    if stored is None:
        raise InputError(
            f"No set of run {run_id!r} is in {samples_uri}. A run id is the last part of a set's folder, run=<run id>; "
            "EXEMPLARS_SAMPLES_URI says where to look"
        )
    if stored.status != "attached":
        raise InputError(
            f"The set of run {run_id} is {stored.status}, so nothing of it is attached to {stored.handle} and there is "
            f"nothing to detach: {stored.folder}"
        )
    lifecycle = read_lifecycle(models_uri, stored.handle) if stored.manifest.get("pool") != "eval" else Lifecycle()
    if not lifecycle.takes_samples:
        raise FrozenModelError(
            f"{stored.handle} is {lifecycle.state!r}, not a draft ({LIFECYCLE_FILE}). A trained model's samples are "
            f"frozen, so the set of run {run_id} stays attached. Nothing was detached"
        )
    return stored


def detach_set(stored: StoredSet) -> None:
    """Takes the set off its model.

    Raises:
        InputError: somebody else has, since it was looked for. StoreError: the store cannot be written.
    """
    if not detach_stored(stored):
        raise InputError(f"The set of run {stored.run_id} is attached no more: somebody else has detached it")


def _read_rows(stored: StoredSet) -> pa.Table:
    filesystem, path = open_folder(stored.file(stored.rows_name))
    expected = stored.manifest.get("files", {}).get(stored.rows_name, {}).get("bytes")
    with filesystem.open_input_file(path) as source:
        size = source.size()
        if expected not in (None, size):
            raise OSError(f"{stored.rows_name} has {size} bytes, and {expected} by its manifest")
        return pq.read_table(source, columns=_READ_COLUMNS, page_checksum_verification=True)


def _probe_remote(filesystem: fs.FileSystem, path: str) -> None:
    """A key that may read only is found out before anything is paid for."""
    probe = f"{path}/{PROBE}{uuid.uuid4().hex}"
    with filesystem.open_output_stream(probe) as stream:
        stream.write(b"\0" * PROBE_BYTES)
    filesystem.delete_file(probe)


@contextmanager
def _translate(place: str) -> Iterator[None]:
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        said = getattr(error, "strerror", None) or str(error)
        raise StoreError(
            f"The sample store {place} cannot be used: {said}. Free space or permit writing, or point "
            "EXEMPLARS_SAMPLES_URI elsewhere; the kept replies are not lost, a second start goes on from them"
        ) from error
