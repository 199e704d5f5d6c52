"""Removes what nobody needs: what dead runs left, when a run of their model begins, and old rejected sets.

``exemplars prune`` never removes an attached, proposed or detached set, nor any other folder that has samples.
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
    """A folder that may be removed; ``unfinished`` means that it has no manifest.

    ``written_at`` is when its newest file was written.
    """

    kind: Kind
    bytes: int
    written_at: datetime


def collect_garbage(samples_uri: str, handle: str, now: datetime) -> tuple[str, ...]:
    """Removes debris and describes each piece in a line. The caller must hold the model's lease.

    Debris is each set folder of this model without a manifest, since its run is over if the caller holds the lease,
    and, of any model, staging folders that are a day old. A change of a set of the model that did not end is
    finished. What cannot be removed stays, without an error: ``check_writable`` reports a store that cannot be written.
    """
    swept: list[str] = []
    with suppress(OSError, pa.ArrowException, StoreError):
        swept.extend(_collect_in_folder(samples_uri.rstrip("/"), handle, now))
    return tuple(swept)


def list_old_sets(samples_uri: str, before: datetime) -> Iterator[OldSet]:
    """Yields what may be removed because it is older than ``before``, model by model.

    Reads the manifest only of folders without samples, which are few.

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
    """Removes a folder; False if it has changed since it was listed. The caller must keep runs of the model out.

    Raises:
        StoreError: the folder cannot be removed. A part that remains does no harm; the next sweep or prune removes it.
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
                elif _may_be_unfinished(files) and (said := finish_change(f"{uri}/{run}")[1]):
                    yield said
                for part in filter(is_part, files):
                    delete_file(f"{uri}/{run}/{part}")
                    yield f"{uri}/{run}/{part}: left by a process that is gone"
    for name in get_args(Pool):
        yield from detach_replaced(list_replaced(locate_pool(samples_uri, handle, name)))


def _may_be_unfinished(files: Mapping[str, fs.FileInfo]) -> bool:
    """Whether a change of a set may not have ended, by its files alone: a model may have thousands of sets."""
    if SAMPLES not in files:
        return False
    is_newer = (files[SAMPLES].mtime_ns or 0) > (files[MANIFEST].mtime_ns or 0)
    return is_newer or DETACHED in files or PROPOSED in files


def _list_run_folders(filesystem: fs.FileSystem, pool: str) -> dict[str, dict[str, fs.FileInfo]]:
    found: dict[str, dict[str, fs.FileInfo]] = {}
    for info in list_below(filesystem, pool, recursive=True):
        run, _, name = info.path.removeprefix(f"{pool}/").partition("/")
        if run.startswith("run="):
            files = found.setdefault(run, {})
            if name and info.type == fs.FileType.File:
                files[name] = info
    return found


def _read_kind(folder: str) -> Kind | None:
    """What a folder is; None if it must stay, as one that cannot be read, for a person to look at."""
    try:
        manifest = read_manifest(folder)
    except StoreError:
        return None
    if manifest is None:
        return "unfinished"
    # What a person has refused stays known.
    is_over = manifest.get("status") == "rejected" and not manifest.get("review", {}).get("refused")
    return "rejected" if is_over else None
