"""Remove unneeded files: debris of dead runs, when a run of their model begins, and old rejected sets.

``exemplars prune`` never removes an attached, proposed or detached set, nor any other folder with samples.
"""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, get_args

import pyarrow as pa
from pyarrow import fs

from engine.domain.model import Pool
from engine.errors import StoreError
from engine.store.changes import detach_replaced, finish_change
from engine.store.commit import delete_set, list_stale
from engine.store.layout import DETACHED, MANIFEST, PROPOSED, SAMPLES
from engine.store.sample_set import read_manifest
from engine.store.store import UNREADABLE, SetFolder, list_pools, list_replaced, locate_pool, translate_errors
from engine.store.writers import lock_model
from engine.system.filesystem import delete_file, is_part, list_below, open_folder

Kind = Literal["rejected", "unfinished"]


@dataclass(frozen=True, slots=True)
class OldSet(SetFolder):
    """A folder that may be removed; the kind ``unfinished`` means that it has no manifest.

    ``written_at`` is the time at which its newest file was written.
    """

    kind: Kind
    bytes: int
    written_at: datetime


def collect_garbage(samples_uri: str, handle: str, now: datetime) -> tuple[str, ...]:
    """Remove debris, and return a line for each removed piece. The caller must hold the model's lease.

    Debris is a set folder of this model without a manifest (its run has ended, since the caller holds the lease), and a
    staging folder of any model that is a day old. Unfinished changes of the model's sets are completed. Debris that
    cannot be removed stays, without an error: ``check_writable`` reports a store that cannot be written.
    """
    lines: list[str] = []
    with suppress(OSError, pa.ArrowException, StoreError):
        lines.extend(_collect_in_folder(samples_uri.rstrip("/"), handle, now))
    return tuple(lines)


def list_old_sets(samples_uri: str, before: datetime) -> Iterator[OldSet]:
    """Yield the sets and folders that may be removed, older than ``before``, model by model.

    Only manifests of folders without samples are read, and these folders are few.

    Raises:
        StoreError: the store cannot be listed.
    """
    for pool in list_pools(samples_uri):
        with translate_errors(pool, UNREADABLE):
            folders = _list_run_folders(*open_folder(pool))
        for name, files in sorted(folders.items()):
            if not files or {SAMPLES, DETACHED} & files.keys():
                continue
            written_at = datetime.fromtimestamp(max((info.mtime_ns or 0) / 1e9 for info in files.values()), UTC)
            if written_at < before and (kind := _read_kind(f"{pool}/{name}")) is not None:
                yield OldSet(f"{pool}/{name}", kind, sum(info.size or 0 for info in files.values()), written_at)


def remove_old_set(old: OldSet) -> bool:
    """Remove a folder; return False if it changed after it was listed. The caller must keep runs of the model out.

    Raises:
        StoreError: the folder cannot be removed. A remaining part does no harm; the next run or prune removes it.
    """
    with translate_errors(old.folder, "Permit writing, and prune again"), lock_model(old.folder):
        if _read_kind(old.folder) != old.kind:
            return False
        delete_set(old.folder)
    return True


def _collect_in_folder(samples_uri: str, handle: str, now: datetime) -> Iterator[str]:
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
            for run, files in _list_run_folders(filesystem, pool).items():
                if MANIFEST not in files:
                    delete_set(f"{uri}/{run}")
                    yield f"{uri}/{run}: a set without a manifest, left unfinished by its run"
                elif _may_be_unfinished(files) and (line := finish_change(f"{uri}/{run}")[1]):
                    yield line
                for part in filter(is_part, files):
                    delete_file(f"{uri}/{run}/{part}")
                    yield f"{uri}/{run}/{part}: left by a process that is gone"
    for name in get_args(Pool):
        yield from detach_replaced(list_replaced(locate_pool(samples_uri, handle, name)))


def _may_be_unfinished(files: Mapping[str, fs.FileInfo]) -> bool:
    """Return whether a change of a set may be unfinished, from its files alone: a model may have thousands of sets."""
    if SAMPLES not in files:
        return False
    is_newer = (files[SAMPLES].mtime_ns or 0) > (files[MANIFEST].mtime_ns or 0)
    return is_newer or DETACHED in files or PROPOSED in files


def _list_run_folders(filesystem: fs.FileSystem, pool: str) -> dict[str, dict[str, fs.FileInfo]]:
    folders: dict[str, dict[str, fs.FileInfo]] = {}
    for info in list_below(filesystem, pool, recursive=True):
        run, _, name = info.path.removeprefix(f"{pool}/").partition("/")
        if run.startswith("run="):
            files = folders.setdefault(run, {})
            if name and info.type == fs.FileType.File:
                files[name] = info
    return folders


def _read_kind(folder: str) -> Kind | None:
    """Return the kind of a folder; None if it must stay, such as an unreadable one, for a person to look at."""
    try:
        manifest = read_manifest(folder)
    except StoreError:
        return None
    if manifest is None:
        return "unfinished"
    # A set that a person refused is kept: its texts must stay known.
    is_over = manifest.get("status") == "rejected" and not manifest.get("review", {}).get("refused")
    return "rejected" if is_over else None
