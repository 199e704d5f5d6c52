"""Commits a sample set to the store, and detaches one, so that a reader never sees a part of a set.

On a local disk a set is written in a staging folder beside the store and moved in by one rename. An object store has no
rename: there the manifest, which holds the digests of all files, is written last.
"""

import errno
import fcntl
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pyarrow import fs

from engine.store.layout import DETACHED, MANIFEST, MANIFESTS, SAMPLES
from engine.store.local_files import link_file, sync, write_file
from engine.store.sample_set import read_manifest, render_detached
from engine.store.staging import make_staging, name_aside
from engine.system.filesystem import open_folder

UNFINISHED = "samples.parquet.part"
TAKEN = (errno.ENOTEMPTY, errno.EEXIST)


def commit_set(folder: str, files: Mapping[str, bytes]) -> bool:
    """Puts the files of a set into its folder; False if an attached set of this run id is there already.

    The modification time of the manifest is the time of attachment. Within one model and pool these times strictly
    increase, since paged listings sort by them. A rejected or detached set of the same run, or debris, is replaced.

    Raises:
        OSError, pa.ArrowException: the store cannot be written; on a local disk nothing of the set is left in it.
        StoreError: the manifest that is there already cannot be read.
    """
    filesystem, path = open_folder(folder)
    if isinstance(filesystem, fs.LocalFileSystem):
        return _write_local(Path(path), files)
    if is_attached(read_manifest(folder)):
        return False
    _write_remote(filesystem, path, files)
    return True


def detach_files(folder: str) -> bool:
    """Moves the samples of an attached set to a file that no reader looks for; False if it is no longer attached.

    The set must be in this version's layout.

    Raises:
        OSError, pa.ArrowException: the store cannot be written; the set is then unchanged.
        StoreError: the manifest cannot be read.
    """
    filesystem, path = open_folder(folder)
    if isinstance(filesystem, fs.LocalFileSystem):
        return _detach_local(Path(path))
    manifest = read_manifest(folder)
    if manifest is None or not is_attached(manifest):
        return False
    _detach_remote(filesystem, path, manifest)
    return True


def is_attached(manifest: Mapping[str, Any] | None) -> bool:
    """Whether a manifest is that of an attached set."""
    return manifest is not None and manifest.get("status") == "attached"


def delete_remote(filesystem: fs.FileSystem, path: str) -> None:
    """Deletes everything below a path of an object store, the manifest first, so that no reader takes it for a set."""
    for name in MANIFESTS:
        with suppress(FileNotFoundError):
            filesystem.delete_file(f"{path}/{name}")
    with suppress(FileNotFoundError):
        filesystem.delete_dir(path)


@contextmanager
def lock_pool(pool: Path) -> Iterator[int]:
    """Locks a pool's folder for one writer and yields the time of the commit, in nanoseconds.

    That is the current time, or 1 ns after the newest set's time if the clock was set back. Where the file system
    has no locks (NFS does not lock folders), only the model's lease keeps two writers apart.
    """
    descriptor = os.open(pool, os.O_RDONLY)
    try:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield max([time.time_ns(), *(moment + 1 for moment in _list_commit_times(pool))])
    finally:
        os.close(descriptor)


def _list_commit_times(pool: Path) -> Iterator[int]:
    for entry in os.scandir(pool):
        for name in MANIFESTS:
            with suppress(FileNotFoundError, NotADirectoryError):
                yield (Path(entry) / name).stat().st_mtime_ns


def _write_local(folder: Path, files: Mapping[str, bytes]) -> bool:
    """Commits by renaming a whole folder; False if an attached set of this run id is there already."""
    root = folder.parents[2]
    with make_staging(root) as staging:
        made = staging / "set"
        for name, content in files.items():
            # Staging may lie inside the store: until the set is complete, no file has the name that readers look for.
            write_file(made / (UNFINISHED if name == SAMPLES else name), content)
        _make_pool(root, folder.parent)
        while True:
            try:
                with lock_pool(folder.parent) as attached_ns:
                    if is_attached(read_manifest(str(folder))):
                        return False
                    _swap(root, staging, folder, attached_ns)
                    return True
            except OSError as error:
                # On a disk without locks another writer may have put a set there since the check.
                if error.errno not in TAKEN:
                    raise


def _detach_local(folder: Path) -> bool:
    """Builds the detached set in staging from links to the same files, and swaps it in."""
    root = folder.parents[2]
    with make_staging(root) as staging, lock_pool(folder.parent) as detached_ns:
        manifest = read_manifest(str(folder))
        if manifest is None or not is_attached(manifest):
            return False
        made = staging / "set"
        for name in manifest["files"]:
            # A set of which a file is missing can be detached too: its model goes on without it.
            with suppress(FileNotFoundError):
                link_file(folder / name, made / (DETACHED if name == SAMPLES else name))
        write_file(made / MANIFEST, render_detached(manifest))
        _swap(root, staging, folder, detached_ns)
    return True


def _swap(root: Path, staging: Path, folder: Path, moment_ns: int) -> None:
    """Moves the set from staging into its folder; an older one is put aside, and comes back if the move fails."""
    made = staging / "set"
    os.utime(made / MANIFEST, ns=(moment_ns, moment_ns))
    sync(made / MANIFEST)
    for path in (made, *made.rglob("*")):
        if path.is_dir():
            sync(path)
    if folder.exists():
        with suppress(FileNotFoundError):
            folder.rename(name_aside(root, staging, folder))
    if (made / UNFINISHED).exists():
        (made / UNFINISHED).rename(made / SAMPLES)
    made.rename(folder)
    sync(folder)
    sync(folder.parent)


def _make_pool(root: Path, pool: Path) -> None:
    """Makes the folders of a model and its pool, and syncs their parents so that they survive a loss of power."""
    if pool.is_dir():
        return
    pool.mkdir(parents=True, exist_ok=True)
    for folder in (root.parent, root, pool.parent):
        # We may not be permitted to open the folder above the store.
        with suppress(PermissionError):
            sync(folder)


def _write_remote(filesystem: fs.FileSystem, path: str, files: Mapping[str, bytes]) -> None:
    """Writes file by file: the samples late, since some readers ignore the manifest, and the manifest last of all."""
    delete_remote(filesystem, path)
    for name in sorted(files, key=lambda name: (name == MANIFEST, name == SAMPLES)):
        if name == MANIFEST:
            _check_whole(filesystem, path, files)
        with filesystem.open_output_stream(f"{path}/{name}") as stream:
            stream.write(files[name])


def _check_whole(filesystem: fs.FileSystem, path: str, files: Mapping[str, bytes]) -> None:
    """Checks that every file is still there in full: without a lease, another writer's sweep may have deleted some."""
    names = [name for name in files if name != MANIFEST]
    infos = filesystem.get_file_info([f"{path}/{name}" for name in names])
    if spoilt := [name for name, info in zip(names, infos, strict=True) if info.size != len(files[name])]:
        raise OSError(f"{', '.join(spoilt)} in {path} changed after writing: another process writes or clears this set")


def _detach_remote(filesystem: fs.FileSystem, path: str, manifest: Mapping[str, Any]) -> None:
    """Changes the manifest before deleting the samples: in between, only readers that ignore manifests see them."""
    with suppress(FileNotFoundError):
        filesystem.copy_file(f"{path}/{SAMPLES}", f"{path}/{DETACHED}")
    with filesystem.open_output_stream(f"{path}/{MANIFEST}") as stream:
        stream.write(render_detached(manifest))
    with suppress(FileNotFoundError):
        filesystem.delete_file(f"{path}/{SAMPLES}")
