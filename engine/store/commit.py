"""Commit a sample set to the store, so that a reader never sees an incomplete set.

On a disk a set is written into a staging folder next to the store and moved in with one rename. An object store has no
rename: there the manifest, which holds the digests of all files, is written last. Later changes of a set replace one
file at a time, each atomically (``write_whole``): by a rename, or a PUT.
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
# Prefix of the folder of an unfinished set; programs that read whole folders skip it.
STAGING = "__staging-"


def commit_files(folder: str, files: Mapping[str, bytes], confirm: Callable[[], None]) -> None:
    """Write the files of a set into its folder, replacing earlier content. The caller holds the model's lock.

    Args:
        confirm: the function that ``lock_model`` yields.

    Raises:
        OSError, pa.ArrowException: the store cannot be written; on a disk the earlier content is unchanged.
    """
    filesystem, path = open_folder(folder)
    if isinstance(filesystem, fs.LocalFileSystem):
        _write_local(Path(path), files)
        return
    delete_set(folder)
    # The samples are written late, since some readers ignore the manifest; the manifest is written last.
    for name in sorted(files, key=lambda name: (name == MANIFEST, name == SAMPLES)):
        if name == MANIFEST:
            confirm()
        write_whole(f"{folder}/{name}", files[name])


def find_manifests(filesystem: fs.FileSystem, path: str) -> dict[str, tuple[int, int]]:
    """Return the manifest's modification time (ns) and size for each folder directly below a path, by folder name.

    Folders without a manifest are left out. On a disk each manifest is looked up by name. An object store lists the
    whole tree, 1,000 files a request.

    Raises:
        OSError, pa.ArrowException: the folder cannot be listed.
    """
    is_local = isinstance(filesystem, fs.LocalFileSystem)
    infos = list_below(filesystem, path, recursive=not is_local)
    if is_local:
        infos = filesystem.get_file_info([f"{info.path}/{MANIFEST}" for info in infos])
    manifests: dict[str, tuple[int, int]] = {}
    for info in infos:
        folder, _, rest = info.path.removeprefix(f"{path}/").partition("/")
        if rest == MANIFEST and info.type == fs.FileType.File:
            manifests[folder] = info.mtime_ns or 0, info.size or 0
    return manifests


def delete_set(folder: str) -> None:
    """Delete the content of a set's folder, the manifest first, so that no reader sees a partial set."""
    filesystem, path = open_folder(folder)
    if isinstance(filesystem, fs.LocalFileSystem) and not Path(path).is_dir():
        Path(path).unlink(missing_ok=True)
        return
    delete_file(f"{folder}/{MANIFEST}")
    with suppress(FileNotFoundError):
        filesystem.delete_dir(path)


def is_attached(manifest: Mapping[str, Any] | None) -> bool:
    """Return whether a manifest belongs to an attached set."""
    return manifest is not None and manifest.get("status") == "attached"


def list_stale(root: Path, now: datetime) -> list[Path]:
    """Return abandoned staging folders in and next to a store's root, unchanged for a day, sorted."""
    stale = []
    for path in sorted([*root.glob(f"{STAGING}*"), *root.parent.glob(f".{root.name}-staging-*")]):
        # Its process may have removed it.
        with suppress(FileNotFoundError):
            stale += [path] if now.timestamp() - path.stat().st_mtime > STALE_SECONDS else []
    return stale


def _write_local(folder: Path, files: Mapping[str, bytes]) -> None:
    if not (pool := folder.parent).is_dir():
        pool.mkdir(parents=True, exist_ok=True)
        # A power failure must not lose the new folders of the model and its pool.
        for parent in pool.parents[:3]:
            # The process may lack permission to open the folder above the store.
            with suppress(PermissionError):
                sync(parent)
    with _make_staging(folder.parents[2]) as staging:
        built = staging / "set"
        (built / RUN_FOLDER).mkdir(parents=True)
        for name, content in files.items():
            # The staging folder may be inside the store: no file has its final name until the set is complete.
            with (built / (UNFINISHED if name == SAMPLES else name)).open("wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
        for path in (built / MANIFEST, built / RUN_FOLDER, built):
            sync(path)
        # A rejected set, or debris, is deleted with the staging folder.
        with suppress(FileNotFoundError):
            folder.rename(staging / "old")
        if SAMPLES in files:
            (built / UNFINISHED).rename(built / SAMPLES)
        built.rename(folder)
        sync(folder)
        sync(folder.parent)


@contextmanager
def _make_staging(root: Path) -> Iterator[Path]:
    """Yield a new folder on the store's disk, outside the store if possible, and remove it at the end.

    It is outside, because DuckDB's ``**`` descends into every folder of the store.
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
