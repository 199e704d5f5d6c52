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

from engine.commit import commit_set
from engine.errors import StoreError
from engine.files import ask_writable, list_folders, open_folder
from engine.manifest import read_manifest
from engine.model import Attached, Pool
from engine.sample_set import SAMPLES, SampleSet, render_files

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
        elif not probe:
            ask_writable(Path(path))
        else:
            Path(path).mkdir(parents=True, exist_ok=True)
            file = Path(path) / f"_probe-{uuid.uuid4().hex}"
            file.write_bytes(b"\0" * 4096)
            file.unlink()


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
    return StoredSet(folder, read_manifest(folder) or {}, written)


def find_set(samples_uri: str, run_id: str) -> StoredSet | None:
    """The set of a run, attached or rejected, whatever its model and pool; None where there is none.

    Raises:
        StoreError: a folder or manifest that cannot be read.
    """
    root = samples_uri.rstrip("/")
    with _translate(samples_uri):
        handles = [name for name in list_folders(root) if name.startswith("handle=")]
        pools = [f"{root}/{name}/{pool}" for name in handles for pool in list_folders(f"{root}/{name}")]
    for pool in pools:
        manifest = read_manifest(f"{pool}/run={run_id}")
        if manifest is not None:
            return StoredSet(f"{pool}/run={run_id}", manifest, written=False)
    return None


def read_file(uri: str) -> bytes:
    """The bytes of one file of a set.

    Raises:
        StoreError: it cannot be read.
    """
    filesystem, path = open_folder(uri)
    with _translate(uri), filesystem.open_input_file(path) as stream:
        return bytes(stream.read())


def list_sets(samples_uri: str, handle: str, pool: Pool) -> list[StoredSet]:
    """The attached sets of a model, in the order of their creation.

    Raises:
        StoreError: a folder or manifest that cannot be read.
    """
    parent = locate_pool(samples_uri, handle, pool)
    found = []
    with _translate(samples_uri):
        names = list_folders(parent)
    for name in names:
        manifest = read_manifest(f"{parent}/{name}") if name.startswith("run=") else None
        if manifest is not None and manifest.get("status") == "attached":
            found.append(StoredSet(f"{parent}/{name}", manifest, written=False))
    return sorted(found, key=lambda stored: (str(stored.manifest.get("created_at", "")), stored.folder))


def read_attached(sets: Sequence[StoredSet]) -> tuple[Attached, ...]:
    """The samples of some sets, in order.

    Raises:
        StoreError: a set whose file is missing or is not Parquet.
    """
    samples: list[Attached] = []
    for stored in sets:
        filesystem, path = open_folder(stored.file(SAMPLES))
        with _translate(stored.folder):
            table = pq.read_table(path, filesystem=filesystem, columns=_READ_COLUMNS)
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
