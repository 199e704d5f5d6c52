"""Finds and removes old rejected sets and old leftovers of dead runs, for ``exemplars prune``.

An attached, proposed or detached set is never removed, nor any other folder that has samples.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import pyarrow as pa
from pyarrow import fs

from engine.errors import StoreError
from engine.store.commit import delete_set
from engine.store.layout import DETACHED, MANIFEST, SAMPLES
from engine.store.sample_set import read_manifest
from engine.store.store import list_pools
from engine.store.upkeep.debris import list_run_folders
from engine.store.writers import lock_model
from engine.system.filesystem import open_folder

Kind = Literal["rejected", "unfinished"]


@dataclass(frozen=True, slots=True)
class OldSet:
    """A folder that may be removed; ``unfinished`` means that it has no manifest.

    ``written_at`` is when its newest file was written.
    """

    folder: str
    kind: Kind
    bytes: int
    written_at: datetime

    @property
    def handle(self) -> str:
        """The model's handle, taken from the folder's path."""
        return self.folder.rpartition("/handle=")[2].partition("/")[0]

    @property
    def run_id(self) -> str:
        """The run that left it."""
        return self.folder.rpartition("/run=")[2]


def list_old_sets(samples_uri: str, before: datetime) -> Iterator[OldSet]:
    """Yields what may be removed because it is older than ``before``, model by model.

    Reads the manifest only of folders without samples, which are few.

    Raises:
        StoreError: the store cannot be listed.
    """
    for pool in list_pools(samples_uri):
        try:
            filesystem, path = open_folder(pool)
            folders = list_run_folders(filesystem, path)
        except (OSError, pa.ArrowException) as error:
            raise StoreError(f"The sample store {pool} cannot be listed: {error}") from error
        for name, files in sorted(folders.items()):
            if (found := _classify_folder(f"{pool}/{name}", files, before)) is not None:
                yield found


def remove_old_set(old: OldSet) -> bool:
    """Removes a folder; False if it has changed since it was listed. The caller must keep runs of the model out.

    Raises:
        StoreError: the folder cannot be removed. A part that remains does no harm; the next sweep or prune removes it.
    """
    filesystem, path = open_folder(old.folder)
    try:
        with lock_model(old.folder):
            if not _is_unchanged(old):
                return False
            delete_set(filesystem, path)
            return True
    except (OSError, pa.ArrowException) as error:
        raise StoreError(f"{old.folder} cannot be removed: {error}") from error


def _classify_folder(folder: str, files: dict[str, fs.FileInfo], before: datetime) -> OldSet | None:
    """Classifies a folder by its files and, where needed, its manifest; None if the folder must stay."""
    if not files or {SAMPLES, DETACHED} & files.keys():
        return None
    written_at = datetime.fromtimestamp(max((info.mtime_ns or 0) / 1e9 for info in files.values()), UTC)
    if written_at >= before:
        return None
    size = sum(info.size or 0 for info in files.values())
    found = OldSet(folder, "rejected" if MANIFEST in files else "unfinished", size, written_at)
    return found if _is_unchanged(found, before) else None


def _is_unchanged(old: OldSet, before: datetime | None = None) -> bool:
    """Whether a folder still is of its kind; a set that cannot be read must stay, for a person to look at."""
    try:
        manifest = read_manifest(old.folder)
    except StoreError:
        return False
    if manifest is None:
        return old.kind == "unfinished"
    if old.kind == "unfinished" or manifest.get("status") != "rejected":
        return False
    # What a person has refused stays known.
    if manifest.get("review", {}).get("refused"):
        return False
    # Both dates have to be old: copying a store makes new files, and a retried run keeps its old date of creation.
    return before is None or _read_date(manifest.get("created_at")) < before


def _read_date(text: object) -> datetime:
    """The date; one that cannot be parsed counts as new, so that its set stays."""
    try:
        return datetime.fromisoformat(str(text)).astimezone(UTC)
    except ValueError:
        return datetime.max.replace(tzinfo=UTC)
