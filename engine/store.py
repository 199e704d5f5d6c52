"""The sample store: the one module that touches its files.

A set is a folder ``handle=<handle>/pool=<pool>/run=<run id>``. It is made whole in a staging folder beside the store
and moved in by one rename, so that no reader, whichever way it lists files, meets half a set. On an object store,
which has no rename, the manifest with its digests is put last.
"""

import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from engine.errors import StoreError
from engine.files import ask_writable, list_folders, open_folder
from engine.model import Attached, Pool
from engine.sample_set import MANIFEST, SAMPLES, SampleSet, render_files

UNFINISHED = "samples.parquet.part"
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

    def file(self, name: str) -> str:
        """The path or URI of one of its files."""
        return f"{self.folder}/{name}"


def locate_set(samples_uri: str, handle: str, pool: Pool, run_id: str) -> str:
    """The folder of a set."""
    return f"{samples_uri.rstrip('/')}/handle={handle}/pool={pool}/run={run_id}"


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
    filesystem, path = open_folder(folder)
    with _translate(samples_uri):
        if isinstance(filesystem, fs.LocalFileSystem):
            written = _write_local(Path(path), files)
        else:
            written = _write_remote(filesystem, path, files)
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


def read_manifest(folder: str) -> Mapping[str, Any] | None:
    """The manifest of a set; None where there is none yet, so that the set does not exist for readers."""
    filesystem, path = open_folder(f"{folder}/{MANIFEST}")
    try:
        with filesystem.open_input_file(path) as stream:
            manifest = json.loads(bytes(stream.read()))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise StoreError(f"{folder}/{MANIFEST} cannot be read: {error}") from error
    return manifest if isinstance(manifest, dict) else None


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
    parent = f"{samples_uri.rstrip('/')}/handle={handle}/pool={pool}"
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


def _write_local(folder: Path, files: Mapping[str, bytes]) -> bool:
    """One rename of a whole folder. False where an attached set of this run id stands there already."""
    root = folder.parents[2]
    with _make_staging(root) as staging:
        made = staging / "set"
        for name, content in files.items():
            # Staging may lie inside the store: until it is whole, no file has the name that readers look for.
            _write_file(made / (UNFINISHED if name == SAMPLES else name), content)
        _sync_folder(made)
        folder.parent.mkdir(parents=True, exist_ok=True)
        if SAMPLES in files:
            (made / UNFINISHED).rename(made / SAMPLES)
        while True:
            try:
                made.rename(folder)
            except OSError:
                if not folder.exists():
                    raise
                manifest = read_manifest(str(folder))
                if manifest is not None and manifest.get("status") == "attached":
                    return False
                # What stands there is a rejected set or debris of this very run: it makes room.
                with suppress(FileNotFoundError):
                    folder.rename(staging / f"old-{uuid.uuid4().hex}")
            else:
                _sync_folder(folder)
                _sync_folder(folder.parent)
                return True


@contextmanager
def _make_staging(root: Path) -> Iterator[Path]:
    """A folder on the store's own disk but outside the store, since DuckDB's ``**`` descends into any folder."""
    root.mkdir(parents=True, exist_ok=True)
    try:
        staging = Path(tempfile.mkdtemp(prefix=f".{root.name}-staging-", dir=root.parent))
        if staging.stat().st_dev != root.stat().st_dev:
            staging.rmdir()
            raise OSError("the store is a mount of its own")
    except OSError:
        staging = Path(tempfile.mkdtemp(prefix="_staging-", dir=root))
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _write_file(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_remote(filesystem: fs.FileSystem, path: str, files: Mapping[str, bytes]) -> bool:
    """File by file, the manifest last; an attached set of this run id stays."""
    manifest_path = f"{path}/{MANIFEST}"
    if filesystem.get_file_info(manifest_path).type != fs.FileType.NotFound:
        with filesystem.open_input_file(manifest_path) as stream:
            if json.loads(bytes(stream.read())).get("status") == "attached":
                return False
        filesystem.delete_file(manifest_path)
    for name, content in files.items():
        with filesystem.open_output_stream(f"{path}/{name}") as stream:
            stream.write(content)
    return True


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
