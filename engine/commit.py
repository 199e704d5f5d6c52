"""The commit: a set enters the store in one move.

It is made whole in a staging folder beside the store and moved in by one rename, so that no reader, whichever way it
lists files, meets half a set. On an object store, which has no rename, the manifest with its digests is put last.
"""

import fcntl
import json
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from pyarrow import fs

from engine.files import open_folder
from engine.manifest import read_manifest
from engine.sample_set import MANIFEST, SAMPLES

UNFINISHED = "samples.parquet.part"


def commit_set(folder: str, files: Mapping[str, bytes]) -> bool:
    """Puts the files of a set where it shall stand. False where an attached set of this run id stands there already.

    The time of the manifest's file is when the set was attached, and among the sets of one model and pool no two have
    the same, nor an earlier one than a set that was there before: what reads them page by page goes by that order.

    Raises:
        OSError, pa.ArrowException: the store cannot be written; on a local disk nothing of the set is left in it.
        StoreError: what stands there already cannot be read.
    """
    filesystem, path = open_folder(folder)
    if isinstance(filesystem, fs.LocalFileSystem):
        return _write_local(Path(path), files)
    return _write_remote(filesystem, path, files)


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
                with _take_turn(folder.parent) as attached_ns:
                    os.utime(made / MANIFEST, ns=(attached_ns, attached_ns))
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
def _take_turn(pool: Path) -> Iterator[int]:
    """One writer at a time: the moment, in nanoseconds, or where the clock was set back one after the newest set's.

    Where a file system has no locks (NFS does not lock folders), a model's lease alone keeps its writers apart.
    """
    descriptor = os.open(pool, os.O_RDONLY)
    try:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield max([time.time_ns(), *(moment + 1 for moment in _list_moments(pool))])
    finally:
        os.close(descriptor)


def _list_moments(pool: Path) -> Iterator[int]:
    for entry in os.scandir(pool):
        with suppress(FileNotFoundError, NotADirectoryError):
            yield (Path(entry) / MANIFEST).stat().st_mtime_ns


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
