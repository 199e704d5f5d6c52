"""Commits a sample set to the store, replaces or detaches one, so that a reader never sees a part of a set.

On a local disk a set is written in a staging folder beside the store and moved in by one rename. An object store has no
rename: there the manifest, which holds the digests of all files, is written last. A version that takes the place of
another is first put beside it in full, so that what is killed half-way can be finished from there.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from pyarrow import fs

from engine.store.layout import DETACHED, MANIFEST, NEXT_MANIFEST, NEXT_VERSION, RUN_FOLDER, SAMPLES
from engine.store.local_files import exchange_folders, link_file, sync, write_file
from engine.store.sample_set import read_manifest, render_detached, unseal
from engine.store.staging import make_staging, put_aside
from engine.store.writers import lock_model
from engine.system.filesystem import list_below, open_folder

UNFINISHED = "samples.parquet.part"


def commit_set(folder: str, files: Mapping[str, bytes], may_enter: Callable[[], bool] = lambda: True) -> bool:
    """Puts the files of a set into its folder; False if an attached set of this run id is there already.

    The modification time of the manifest is the time of attachment. Within one model and pool these times strictly
    increase, since paged listings sort by them. A rejected or detached set of the same run, or debris, is replaced.

    Args:
        may_enter: whether the set may still be put there, asked while nobody else adds to the model; else False too.

    Raises:
        OSError, pa.ArrowException: the store cannot be written; on a local disk nothing of the set is left in it.
        StoreError: the manifest that is there already cannot be read.
    """
    filesystem, path = open_folder(folder)
    if isinstance(filesystem, fs.LocalFileSystem):
        _make_pool(Path(path).parent)
    with lock_model(folder) as confirm:
        earlier = read_manifest(folder)
        if is_attached(earlier) or not may_enter():
            return False
        if isinstance(filesystem, fs.LocalFileSystem):
            _write_local(Path(path), files)
        else:
            replaces = earlier is not None and earlier["status"] == "proposed"
            _write_remote(filesystem, path, files, replaces, confirm)
    return True


def detach_files(folder: str) -> bool:
    """Moves the samples of an attached set to a file that no reader looks for; False if it is no longer attached.

    Raises:
        OSError, pa.ArrowException: the store cannot be written; the set is then unchanged.
        StoreError: the manifest cannot be read.
    """
    filesystem, path = open_folder(folder)
    with lock_model(folder):
        finish_replacing(filesystem, path)
        manifest = read_manifest(folder)
        if manifest is None or not is_attached(manifest):
            return False
        if isinstance(filesystem, fs.LocalFileSystem):
            _detach_local(Path(path), manifest)
        else:
            _detach_remote(filesystem, path, manifest)
    return True


def replace_files(filesystem: fs.FileSystem, path: str, files: Mapping[str, bytes]) -> None:
    """Puts a new version of a set in the place of the old one: some files are new, its manifest among them.

    The set keeps its time of attachment on a local disk. The caller must hold the model's lock.

    Raises:
        OSError, pa.ArrowException: the store cannot be written; the set is as it was or, on an object store, is made
            whole by ``finish_replacing``.
    """
    if isinstance(filesystem, fs.LocalFileSystem):
        _replace_local(Path(path), files)
        return
    for name in sorted(files, key=lambda name: name == MANIFEST):
        with filesystem.open_output_stream(_locate_next(path, name)) as stream:
            stream.write(files[name])
    finish_replacing(filesystem, path)


def finish_replacing(filesystem: fs.FileSystem, path: str) -> bool:
    """Finishes a replacement in an object store, or takes away what is there of one that had not begun; else False.

    The manifest comes last. Until then the samples may be those of the next version, whose manifest names their number.

    Raises:
        OSError, pa.ArrowException: the store cannot be written.
    """
    if isinstance(filesystem, fs.LocalFileSystem):
        return False
    there = {info.path for info in list_below(filesystem, f"{path}/{NEXT_VERSION}")}
    if not there:
        return False
    if f"{path}/{NEXT_MANIFEST}" in there:
        with filesystem.open_input_file(f"{path}/{NEXT_MANIFEST}") as stream:
            names = unseal(bytes(stream.read()))["files"]
        # The rejected rows before the samples: no row is nowhere.
        for name in (*sorted(names, key=lambda name: name == SAMPLES), MANIFEST):
            if _locate_next(path, name) in there:
                filesystem.copy_file(_locate_next(path, name), f"{path}/{name}")
        filesystem.delete_file(f"{path}/{NEXT_MANIFEST}")
    filesystem.delete_dir(f"{path}/{NEXT_VERSION}")
    return True


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
    with make_staging(folder.parent) as staging:
        made = staging / "set"
        (made / RUN_FOLDER).mkdir(parents=True)
        for name, content in files.items():
            # Staging may lie inside the store: until the set is complete, no file has the name that readers look for.
            write_file(made / (UNFINISHED if name == SAMPLES else name), content)
        _swap(staging, folder)


def _detach_local(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Builds the detached set in staging from links to the same files, and swaps it in."""
    with make_staging(folder.parent) as staging:
        made = staging / "set"
        (made / RUN_FOLDER).mkdir(parents=True)
        for name in manifest["files"]:
            # A set of which a file is missing can be detached too: its model goes on without it.
            with suppress(FileNotFoundError):
                link_file(folder / name, made / (DETACHED if name == SAMPLES else name))
        write_file(made / MANIFEST, render_detached(manifest))
        _swap(staging, folder)


def _replace_local(folder: Path, files: Mapping[str, bytes]) -> None:
    """Builds the new version in staging, of new files and links to the others, and exchanges the two folders."""
    with make_staging(folder.parent) as staging:
        made = staging / "set"
        (made / RUN_FOLDER).mkdir(parents=True)
        for name in unseal(files[MANIFEST])["files"]:
            if name not in files:
                # Another file may be missing, as ``verify`` tells: it is missing then in the new version too.
                with suppress(FileNotFoundError):
                    link_file(folder / name, made / name)
        for name, content in files.items():
            write_file(made / (UNFINISHED if name == SAMPLES else name), content)
        attached_ns = (folder / MANIFEST).stat().st_mtime_ns
        os.utime(made / MANIFEST, ns=(attached_ns, attached_ns))
        for path in (made / MANIFEST, made / RUN_FOLDER, made):
            sync(path)
        (made / UNFINISHED).rename(made / SAMPLES)
        sync(made)
        if not exchange_folders(made, folder):
            put_aside(staging, folder)
            made.rename(folder)
        sync(folder.parent)


def _swap(staging: Path, folder: Path) -> None:
    """Moves the set from staging into its folder; an older one is put aside, and comes back if the move fails."""
    made = staging / "set"
    moment_ns = max([time.time_ns(), *(moment + 1 for moment in _list_commit_times(folder.parent))])
    os.utime(made / MANIFEST, ns=(moment_ns, moment_ns))
    for path in (made / MANIFEST, made / RUN_FOLDER, made):
        sync(path)
    if folder.exists():
        put_aside(staging, folder)
    if (made / UNFINISHED).exists():
        (made / UNFINISHED).rename(made / SAMPLES)
    made.rename(folder)
    sync(folder)
    sync(folder.parent)


def _list_commit_times(pool: Path) -> Iterator[int]:
    """The times of the sets that are there: a clock that was set back must not put a new set before them."""
    for entry in pool.iterdir():
        with suppress(FileNotFoundError, NotADirectoryError):
            yield (entry / MANIFEST).stat().st_mtime_ns


def _write_remote(
    filesystem: fs.FileSystem, path: str, files: Mapping[str, bytes], replaces: bool, confirm: Callable[[], None]
) -> None:
    """Writes file by file: the samples late, since some readers ignore the manifest, and the manifest last of all.

    Args:
        replaces: whether a proposal is there, which waits until all of what comes of it is in the store.
        confirm: as ``lock_model`` yields it.
    """
    if replaces:
        confirm()
        replace_files(filesystem, path, files)
        for info in list_below(filesystem, path, recursive=True):
            if info.type == fs.FileType.File and info.path.removeprefix(f"{path}/") not in files:
                filesystem.delete_file(info.path)
        return
    delete_set(filesystem, path)
    for name in sorted(files, key=lambda name: (name == MANIFEST, name == SAMPLES)):
        if name == MANIFEST:
            confirm()
        with filesystem.open_output_stream(f"{path}/{name}") as stream:
            stream.write(files[name])


def _locate_next(path: str, name: str) -> str:
    """Where a file of the next version waits, under a name that no reader of samples looks for."""
    return f"{path}/{NEXT_VERSION}/{name.rpartition('/')[2].replace('.parquet', '.pq')}"


def _detach_remote(filesystem: fs.FileSystem, path: str, manifest: Mapping[str, Any]) -> None:
    """Changes the manifest before deleting the samples: in between, only readers that ignore manifests see them."""
    with suppress(FileNotFoundError):
        filesystem.copy_file(f"{path}/{SAMPLES}", f"{path}/{DETACHED}")
    with filesystem.open_output_stream(f"{path}/{MANIFEST}") as stream:
        stream.write(render_detached(manifest))
    with suppress(FileNotFoundError):
        filesystem.delete_file(f"{path}/{SAMPLES}")
