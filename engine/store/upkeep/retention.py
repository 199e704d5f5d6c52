"""Finds and removes old rejected sets and old leftovers of dead runs, for ``exemplars prune``.

An attached, proposed or detached set is never removed, nor any other folder that has samples.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from engine.errors import StoreError
from engine.store.commit import delete_set
from engine.store.layout import DETACHED, SAMPLES
from engine.store.sample_set import read_manifest
from engine.store.store import UNREADABLE, list_pools, translate_errors
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
        with translate_errors(pool, UNREADABLE):
            folders = list_run_folders(*open_folder(pool))
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
        delete_set(*open_folder(old.folder))
    return True


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
