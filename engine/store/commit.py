"""Puts a sample set into the store, so that a reader never sees a part of it.

On a disk a set is written in a staging folder beside the store and moved in by one rename. An object store has no
rename: there the manifest, which holds the digests of all files, is written last. What changes of a set afterwards is
one file at a time, each in one move (``write_whole``): a rename, or a PUT.
"""

import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from pyarrow import fs

from engine.store.layout import MANIFEST, RUN_FOLDER, SAMPLES
from engine.store.sample_set import read_manifest
from engine.store.staging import make_staging
from engine.store.writers import lock_model
from engine.system.filesystem import list_below, open_folder, sync

UNFINISHED = "samples.parquet.part"
# The field of a manifest that tells when its set was attached, in nanoseconds since 1970, where the time of its file
# does so no longer, since samples were removed. Listings sort by it.
ATTACHED_NS = "attached_ns"


def commit_set(folder: str, files: Mapping[str, bytes], may_enter: Callable[[], bool] = lambda: True) -> bool:
    """Puts the files of a set into its folder; a rejected set of the same run, or debris, makes room.

    Args:
        may_enter: whether the set may still be put there, asked while nobody else adds to the model.

    Returns:
        False where another set of this run id stands there, or it may not enter.

    Raises:
        OSError, pa.ArrowException: the store cannot be written; on a disk what was there before is unchanged.
        StoreError: the manifest that is there already cannot be read.
    """
    filesystem, path = open_folder(folder)
    if isinstance(filesystem, fs.LocalFileSystem):
        _make_pool(Path(path).parent)
    with lock_model(folder) as confirm:
        earlier = read_manifest(folder)
        if (earlier is not None and earlier["status"] != "rejected") or not may_enter():
            return False
        if isinstance(filesystem, fs.LocalFileSystem):
            _write_local(Path(path), files)
        else:
            _write_remote(filesystem, path, files, confirm)
    return True


def choose_moment(filesystem: fs.FileSystem, path: str) -> int | None:
    """The time that the manifest of a set gets on a disk when it is attached, in nanoseconds: later than any in its
    pool, though the clock was set back. None in an object store, which gives its own.

    Raises:
        OSError: the pool cannot be listed.
    """
    if not isinstance(filesystem, fs.LocalFileSystem):
        return None
    moments = [moment for moment, _ in find_manifests(filesystem, path.rpartition("/")[0]).values()]
    return max([time.time_ns(), *(moment + 1 for moment in moments)])


def find_manifests(filesystem: fs.FileSystem, path: str) -> dict[str, tuple[int, int]]:
    """The folders directly below a path that hold a manifest: its modification time in nanoseconds and size by name.

    On a disk each manifest is looked up by name. An object store lists the whole tree, 1,000 files a request.

    Raises:
        OSError, pa.ArrowException: the folder cannot be listed.
    """
    is_local = isinstance(filesystem, fs.LocalFileSystem)
    infos = list_below(filesystem, path, recursive=not is_local)
    if is_local:
        infos = filesystem.get_file_info([f"{info.path}/{MANIFEST}" for info in infos])
    found: dict[str, tuple[int, int]] = {}
    for info in infos:
        folder, _, rest = info.path.removeprefix(f"{path}/").partition("/")
        if rest == MANIFEST and info.type == fs.FileType.File:
            found[folder] = info.mtime_ns or 0, info.size or 0
    return found


def delete_set(filesystem: fs.FileSystem, path: str) -> None:
    """Deletes what is at the path of a set, the manifest first, so that no reader takes what is left for a set."""
    if isinstance(filesystem, fs.LocalFileSystem) and not Path(path).is_dir():
        Path(path).unlink(missing_ok=True)
        return
    with suppress(FileNotFoundError):
        filesystem.delete_file(f"{path}/{MANIFEST}")
    with suppress(FileNotFoundError):
        filesystem.delete_dir(path)


def is_attached(manifest: Mapping[str, Any] | None) -> bool:
    """Whether a manifest is that of an attached set."""
    return manifest is not None and manifest.get("status") == "attached"


def _make_pool(pool: Path) -> None:
    """Makes the folders of a model and its pool, and syncs their parents so that they survive a loss of power."""
    if pool.is_dir():
        return
    pool.mkdir(parents=True, exist_ok=True)
    for folder in pool.parents[:3]:
        # We may not be permitted to open the folder above the store.
        with suppress(PermissionError):
            sync(folder)


def _write_local(folder: Path, files: Mapping[str, bytes]) -> None:
    with make_staging(folder.parents[2]) as staging:
        made = staging / "set"
        (made / RUN_FOLDER).mkdir(parents=True)
        for name, content in files.items():
            # Staging may lie inside the store: until the set is complete, no file has the name that readers look for.
            with (made / (UNFINISHED if name == SAMPLES else name)).open("wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
        moment_ns = choose_moment(fs.LocalFileSystem(), str(folder)) or 0
        os.utime(made / MANIFEST, ns=(moment_ns, moment_ns))
        for path in (made / MANIFEST, made / RUN_FOLDER, made):
            sync(path)
        # A rejected set, or debris, goes with the staging folder.
        with suppress(FileNotFoundError):
            folder.rename(staging / "old")
        if SAMPLES in files:
            (made / UNFINISHED).rename(made / SAMPLES)
        made.rename(folder)
        sync(folder)
        sync(folder.parent)


def _write_remote(
    filesystem: fs.FileSystem, path: str, files: Mapping[str, bytes], confirm: Callable[[], None]
) -> None:
    """Writes file by file: the samples late, since some readers ignore the manifest, and the manifest last of all.

    Args:
        confirm: as ``lock_model`` yields it.
    """
    delete_set(filesystem, path)
    for name in sorted(files, key=lambda name: (name == MANIFEST, name == SAMPLES)):
        if name == MANIFEST:
            confirm()
        with filesystem.open_output_stream(f"{path}/{name}", compression=None) as stream:
            stream.write(files[name])
