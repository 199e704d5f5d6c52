"""Sweeps the sample store: when a run of a model begins, it removes what dead runs left behind."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import get_args

import pyarrow as pa
from pyarrow import fs

from engine.domain.model import Pool
from engine.errors import StoreError
from engine.store.changes import finish_change
from engine.store.commit import delete_set, list_stale
from engine.store.layout import DETACHED, MANIFEST, PROPOSED, SAMPLES
from engine.store.store import locate_pool
from engine.store.writers import lock_model
from engine.system.filesystem import is_part, list_below, open_folder


def sweep_store(samples_uri: str, handle: str, now: datetime) -> tuple[str, ...]:
    """Removes debris and describes each piece in a line. The caller must hold the model's lease.

    Debris is each set folder of this model without a manifest, since its run is over if the caller holds the lease,
    and, of any model, staging folders that are a day old. A change of a set of the model that did not end is
    finished. What cannot be removed stays, without an error: ``check_writable`` reports a store that cannot be written.
    """
    swept: list[str] = []
    with suppress(OSError, pa.ArrowException, StoreError):
        swept.extend(_sweep(samples_uri.rstrip("/"), handle, now))
    return tuple(swept)


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


def _sweep(samples_uri: str, handle: str, now: datetime) -> Iterator[str]:
    filesystem, root = open_folder(samples_uri)
    is_local = isinstance(filesystem, fs.LocalFileSystem)
    for left in list_stale(Path(root), now) if is_local else ():
        with suppress(OSError):
            shutil.rmtree(left)
            yield f"{left}: left by a process that is gone"
    model = f"{samples_uri}/handle={handle}"
    if is_local and not Path(model).is_dir():
        return
    with lock_model(model):
        for name in get_args(Pool):
            uri = locate_pool(samples_uri, handle, name)
            _, pool = open_folder(uri)
            for run, files in list_run_folders(filesystem, pool).items():
                if MANIFEST not in files:
                    delete_set(filesystem, f"{pool}/{run}")
                    yield f"{uri}/{run}: a set without a manifest, left unfinished by its run"
                elif _may_be_unfinished(files) and (said := finish_change(f"{uri}/{run}")[1]):
                    yield said
                for part in filter(is_part, files):
                    filesystem.delete_file(f"{pool}/{run}/{part}")
                    yield f"{uri}/{run}/{part}: left by a process that is gone"


def _may_be_unfinished(files: Mapping[str, fs.FileInfo]) -> bool:
    """Whether a change of a set may not have ended, by its files alone: a model may have thousands of sets."""
    if MANIFEST not in files or SAMPLES not in files:
        return False
    is_newer = (files[SAMPLES].mtime_ns or 0) > (files[MANIFEST].mtime_ns or 0)
    return is_newer or DETACHED in files or PROPOSED in files
