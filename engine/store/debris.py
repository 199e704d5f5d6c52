"""Sweeps the sample store: when a run of a model begins, it removes what dead runs left behind."""

import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import get_args

import pyarrow as pa
from pyarrow import fs

from engine.domain.model import Pool
from engine.errors import StoreError
from engine.store.commit import delete_remote, lock_pool
from engine.store.layout import DETACHED, MANIFESTS, OLDER_DETACHED, SAMPLES, has_manifest
from engine.store.sample_set import read_manifest
from engine.store.staging import PROBE, STALE_SECONDS, make_staging, sweep_staging
from engine.store.store import locate_pool
from engine.system.filesystem import list_below, open_folder


def sweep_store(samples_uri: str, handle: str) -> tuple[str, ...]:
    """Removes debris and describes each piece in a line. The caller must hold the model's lease.

    Debris is: staging folders and probes of dead processes, for any model; and, for this model, each set folder without
    a manifest, since its run must be over if the caller holds the lease. Folders with a manifest stay. What cannot be
    removed stays too, without an error: ``check_writable`` reports a store that cannot be written.
    """
    filesystem, path = open_folder(samples_uri.rstrip("/"))
    with suppress(OSError, pa.ArrowException, StoreError):
        if isinstance(filesystem, fs.LocalFileSystem):
            return (*_sweep_root(Path(path)), *_sweep_model(Path(path), handle))
        return (*_sweep_probes(filesystem, path), *_sweep_remote(filesystem, samples_uri, handle))
    return ()


def list_run_folders(filesystem: fs.FileSystem, pool: str) -> dict[str, dict[str, fs.FileInfo]]:
    """All set folders below a pool's path, each with its files by their name in the set."""
    found: dict[str, dict[str, fs.FileInfo]] = {}
    for info in list_below(filesystem, pool, recursive=True):
        run, _, name = info.path.removeprefix(f"{pool}/").partition("/")
        if run.startswith("run="):
            files = found.setdefault(run, {})
            if name and info.type == fs.FileType.File:
                files[name] = info
    return found


def _sweep_root(root: Path) -> Iterator[str]:
    for path in sweep_staging(root):
        yield f"{path}: left by a process that is gone"


def _sweep_model(root: Path, handle: str) -> Iterator[str]:
    for pool in get_args(Pool):
        folder = Path(locate_pool(str(root), handle, pool))
        debris = [path for path in folder.glob("run=*") if not _stands(path)]
        for path in debris:
            if _remove_folder(root, path):
                yield f"{path}: a set without a manifest, left unfinished by its run"


def _stands(folder: Path) -> bool:
    return any((folder / name).exists() for name in MANIFESTS)


def _remove_folder(root: Path, folder: Path) -> bool:
    """Removes a folder by one rename; False if a set was committed there in the meantime."""
    with make_staging(root) as staging, lock_pool(folder.parent):
        if _stands(folder):
            return False
        debris = staging / "debris"
        folder.rename(debris)
        if debris.is_dir():
            shutil.rmtree(debris)
        return True


def _sweep_probes(filesystem: fs.FileSystem, root: str) -> Iterator[str]:
    """Removes old probes: in an object store a live process cannot be recognised, but no probe takes a day."""
    for info in list_below(filesystem, root):
        age_seconds = time.time() - (info.mtime_ns or 0) / 1e9
        if info.base_name.startswith(PROBE) and info.type == fs.FileType.File and age_seconds > STALE_SECONDS:
            filesystem.delete_file(info.path)
            yield f"{info.path}: left by a process that is gone"


def _sweep_remote(filesystem: fs.FileSystem, samples_uri: str, handle: str) -> Iterator[str]:
    for pool in get_args(Pool):
        uri = locate_pool(samples_uri, handle, pool)
        _, path = open_folder(uri)
        for run, files in list_run_folders(filesystem, path).items():
            if not has_manifest(files) and read_manifest(f"{uri}/{run}") is None:
                delete_remote(filesystem, f"{path}/{run}")
                if files:
                    yield f"{uri}/{run}: a set without a manifest, left unfinished by its run"
            for name in (DETACHED, OLDER_DETACHED):
                if {SAMPLES, name} <= files.keys():
                    yield from _finish_detaching(filesystem, f"{path}/{run}", f"{uri}/{run}", name)


def _finish_detaching(filesystem: fs.FileSystem, path: str, uri: str, detached: str) -> Iterator[str]:
    manifest = read_manifest(uri)
    if manifest is not None and manifest.get("status") == "detached":
        filesystem.delete_file(f"{path}/{SAMPLES}")
        yield f"{uri}/{SAMPLES}: samples of a set that was detached"
    elif manifest is not None:
        filesystem.delete_file(f"{path}/{detached}")
        yield f"{uri}/{detached}: a copy for a set that was not detached after all"
