"""The commit: a set enters the store in one move, and leaves what readers see of it in one.

It is made whole in a staging folder beside the store and moved in by one rename, so that no reader, whichever way it
lists files, meets half a set. On an object store, which has no rename, the manifest with its digests is put last.
"""

import errno
import fcntl
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pyarrow import fs

from engine.store.sample_set import DETACHED, MANIFEST, SAMPLES, read_manifest, render_detached
from engine.store.staging import make_staging, name_aside
from engine.system.filesystem import open_folder

UNFINISHED = "samples.parquet.part"
TAKEN = (errno.ENOTEMPTY, errno.EEXIST)


def commit_set(folder: str, files: Mapping[str, bytes]) -> bool:
    """Puts the files of a set where it shall stand. False where an attached set of this run id stands there already.

    The time of the manifest's file is when the set was attached, and among the sets of one model and pool no two have
    the same, nor an earlier one than a set that was there before: what reads them page by page goes by that order.
    Whatever else stands there, of this very run, makes room: a rejected or a detached set, or debris.

    Raises:
        OSError, pa.ArrowException: the store cannot be written; on a local disk nothing of the set is left in it.
        StoreError: what stands there already cannot be read.
    """
    filesystem, path = open_folder(folder)
    if isinstance(filesystem, fs.LocalFileSystem):
        return _write_local(Path(path), files)
    if is_attached(read_manifest(folder)):
        return False
    _write_remote(filesystem, path, files)
    return True


def detach_files(folder: str, manifest: Mapping[str, Any]) -> bool:
    """Moves the samples of an attached set to where nobody reads them. False where it is attached no more.

    Raises:
        OSError, pa.ArrowException: the store cannot be written; then the set stands as it was.
        StoreError: what stands there cannot be read.
    """
    filesystem, path = open_folder(folder)
    if isinstance(filesystem, fs.LocalFileSystem):
        return _detach_local(Path(path), manifest)
    if not is_attached(read_manifest(folder)):
        return False
    _detach_remote(filesystem, path, manifest)
    return True


def is_attached(manifest: Mapping[str, Any] | None) -> bool:
    """Whether it is the manifest of an attached set."""
    return manifest is not None and manifest.get("status") == "attached"


def clear_remote(filesystem: fs.FileSystem, path: str) -> None:
    """Takes away all that lies below a path of an object store, the manifest first."""
    with suppress(FileNotFoundError):
        filesystem.delete_file(f"{path}/{MANIFEST}")
    with suppress(FileNotFoundError):
        filesystem.delete_dir(path)


@contextmanager
def take_turn(pool: Path) -> Iterator[int]:
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


def _write_local(folder: Path, files: Mapping[str, bytes]) -> bool:
    """One rename of a whole folder. False where an attached set of this run id stands there already."""
    root = folder.parents[2]
    with make_staging(root) as staging:
        made = staging / "set"
        for name, content in files.items():
            # Staging may lie inside the store: until it is whole, no file has the name that readers look for.
            _write_file(made / (UNFINISHED if name == SAMPLES else name), content)
        _make_pool(root, folder.parent)
        while True:
            try:
                with take_turn(folder.parent) as attached_ns:
                    if is_attached(read_manifest(str(folder))):
                        return False
                    _swap(root, staging, folder, attached_ns)
                    return True
            except OSError as error:
                # A disk without locks: somebody else's set has come in since it was looked for.
                if error.errno not in TAKEN:
                    raise


def _detach_local(folder: Path, manifest: Mapping[str, Any]) -> bool:
    """The set as it stands when detached is made beside it, of the same files, and takes its place."""
    root = folder.parents[2]
    with make_staging(root) as staging, take_turn(folder.parent) as detached_ns:
        if not is_attached(read_manifest(str(folder))):
            return False
        made = staging / "set"
        for name in manifest["files"]:
            _link_file(folder / name, made / (DETACHED if name == SAMPLES else name))
        _write_file(made / MANIFEST, render_detached(manifest))
        _swap(root, staging, folder, detached_ns)
    return True


def _swap(root: Path, staging: Path, folder: Path, moment_ns: int) -> None:
    """What is made takes its place; what stood there is put aside, and back again where anything goes wrong."""
    made = staging / "set"
    os.utime(made / MANIFEST, ns=(moment_ns, moment_ns))
    _sync(made / MANIFEST)
    for path in (made, *made.rglob("*")):
        if path.is_dir():
            _sync(path)
    if folder.exists():
        with suppress(FileNotFoundError):
            folder.rename(name_aside(root, staging, folder))
    if (made / UNFINISHED).exists():
        (made / UNFINISHED).rename(made / SAMPLES)
    made.rename(folder)
    _sync(folder)
    _sync(folder.parent)


def _make_pool(root: Path, pool: Path) -> None:
    """The folders of a model and its pool, where they are new so that they outlive the machine as the set does."""
    if pool.is_dir():
        return
    pool.mkdir(parents=True, exist_ok=True)
    for folder in (root.parent, root, pool.parent):
        # What is above the store may be nobody's to open.
        with suppress(PermissionError):
            _sync(folder)


def _write_file(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as stream:
        stream.write(content)
        stream.flush()
        # The manifest gets its time first.
        if path.name != MANIFEST:
            os.fsync(stream.fileno())


def _link_file(path: Path, other: Path) -> None:
    other.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(path, other)
    except OSError:
        # Some disks have no links.
        shutil.copy2(path, other)
        _sync(other)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_remote(filesystem: fs.FileSystem, path: str, files: Mapping[str, bytes]) -> None:
    """File by file: the samples late, since readers of Parquet ask no manifest; the manifest last, over whole files."""
    clear_remote(filesystem, path)
    for name in sorted(files, key=lambda name: (name == MANIFEST, name == SAMPLES)):
        if name == MANIFEST:
            _check_whole(filesystem, path, files)
        with filesystem.open_output_stream(f"{path}/{name}") as stream:
            stream.write(files[name])


def _check_whole(filesystem: fs.FileSystem, path: str, files: Mapping[str, bytes]) -> None:
    """Whether all stands there as it was put: another writer's sweep may have come between, where no lease was held."""
    names = [name for name in files if name != MANIFEST]
    infos = filesystem.get_file_info([f"{path}/{name}" for name in names])
    if spoilt := [name for name, info in zip(names, infos, strict=True) if info.size != len(files[name])]:
        raise OSError(f"{', '.join(spoilt)} in {path} did not stay as written: somebody else writes or clears this set")


def _detach_remote(filesystem: fs.FileSystem, path: str, manifest: Mapping[str, Any]) -> None:
    """The manifest goes before the samples do: between the two steps, only those who ask no manifest see them."""
    filesystem.copy_file(f"{path}/{SAMPLES}", f"{path}/{DETACHED}")
    with filesystem.open_output_stream(f"{path}/{MANIFEST}") as stream:
        stream.write(render_detached(manifest))
    filesystem.delete_file(f"{path}/{SAMPLES}")
