"""Puts a sample set into the store, so that a reader never sees a part of it.

On a disk a set is written in a staging folder beside the store and moved in by one rename. An object store has no
rename: there the manifest, which holds the digests of all files, is written last. What changes of a set afterwards is
one file at a time, each in one move (``write_whole``): a rename, or a PUT.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from pyarrow import fs

from engine.store.layout import MANIFEST, RUN_FOLDER, SAMPLES
from engine.system.filesystem import delete_file, list_below, open_folder, sync, write_whole

UNFINISHED = "samples.parquet.part"
STALE_SECONDS = 24 * 3600.0
# A set is built in a folder of such a name, which readers of whole folders pass over.
STAGING = "__staging-"


def commit_files(folder: str, files: Mapping[str, bytes], confirm: Callable[[], None]) -> None:
    """Puts the files of a set into its folder; what was there before makes room. The caller holds the model's lock.

    Args:
        confirm: as ``lock_model`` yields it.

    Raises:
        OSError, pa.ArrowException: the store cannot be written; on a disk what was there before is unchanged.
    """
    filesystem, path = open_folder(folder)
    if isinstance(filesystem, fs.LocalFileSystem):
        _write_local(Path(path), files)
        return
    delete_set(folder)
    # The samples late, since some readers ignore the manifest, and the manifest last of all.
    for name in sorted(files, key=lambda name: (name == MANIFEST, name == SAMPLES)):
        if name == MANIFEST:
            confirm()
        write_whole(f"{folder}/{name}", files[name])


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


def delete_set(folder: str) -> None:
    """Deletes what is at the place of a set, the manifest first, so that no reader takes what is left for a set."""
    filesystem, path = open_folder(folder)
    if isinstance(filesystem, fs.LocalFileSystem) and not Path(path).is_dir():
        Path(path).unlink(missing_ok=True)
        return
    delete_file(f"{folder}/{MANIFEST}")
    with suppress(FileNotFoundError):
        filesystem.delete_dir(path)


def is_attached(manifest: Mapping[str, Any] | None) -> bool:
    """Whether a manifest is that of an attached set."""
    return manifest is not None and manifest.get("status") == "attached"


def list_stale(root: Path, now: datetime) -> list[Path]:
    """The staging folders in and beside a store's root that have not changed for a day, sorted: nobody builds there."""
    found = []
    for path in sorted([*root.glob(f"{STAGING}*"), *root.parent.glob(f".{root.name}-staging-*")]):
        # Its process may have removed it meanwhile.
        with suppress(FileNotFoundError):
            found += [path] if now.timestamp() - path.stat().st_mtime > STALE_SECONDS else []
    return found


def _write_local(folder: Path, files: Mapping[str, bytes]) -> None:
    if not (pool := folder.parent).is_dir():
        pool.mkdir(parents=True, exist_ok=True)
        # Of the model and of its pool too nothing is lost with the power.
        for parent in pool.parents[:3]:
            # We may not be permitted to open the folder above the store.
            with suppress(PermissionError):
                sync(parent)
    with _make_staging(folder.parents[2]) as staging:
        made = staging / "set"
        (made / RUN_FOLDER).mkdir(parents=True)
        for name, content in files.items():
            # Staging may lie inside the store: until the set is complete, no file has the name that readers look for.
            with (made / (UNFINISHED if name == SAMPLES else name)).open("wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
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


@contextmanager
def _make_staging(root: Path) -> Iterator[Path]:
    """Yields a new folder on the store's disk, outside the store if possible, and removes it at the end.

    Outside, since DuckDB's ``**`` descends into every folder of the store.
    """
    try:
        staging = Path(tempfile.mkdtemp(prefix=f".{root.name}-staging-", dir=root.parent))
        if staging.stat().st_dev != root.stat().st_dev:
            staging.rmdir()
            raise OSError("the store is a mount of its own")
    except OSError:
        staging = Path(tempfile.mkdtemp(prefix=STAGING, dir=root))
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)
