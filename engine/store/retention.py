"""Old sets: rejected ones, and what dead runs have left, are found by their age and taken away, each in one move.

An attached or a detached set is never among them, nor anything else that has samples.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import pyarrow as pa
from pyarrow import fs

from engine.errors import StoreError
from engine.store.commit import clear_remote, take_turn
from engine.store.debris import list_run_folders
from engine.store.sample_set import DETACHED, MANIFEST, SAMPLES, read_manifest
from engine.store.staging import make_staging, sweep_staging
from engine.store.store import list_pools
from engine.system.filesystem import open_folder

Kind = Literal["rejected", "unfinished"]


@dataclass(frozen=True, slots=True)
class OldSet:
    """A folder that may go. ``unfinished`` is one without a manifest; ``written_at`` is when its last file was."""

    folder: str
    kind: Kind
    bytes: int
    written_at: datetime

    @property
    def handle(self) -> str:
        """The model, as its place in the store has it."""
        return self.folder.rpartition("/handle=")[2].partition("/")[0]

    @property
    def run_id(self) -> str:
        """The run that left it."""
        return self.folder.rpartition("/run=")[2]


def list_old_sets(samples_uri: str, before: datetime) -> Iterator[OldSet]:
    """What may go, model by model, nothing of it kept in memory; a manifest is read only where there are no samples.

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
            if (found := _judge(f"{pool}/{name}", files, before)) is not None:
                yield found


def remove_old_set(samples_uri: str, old: OldSet) -> bool:
    """Takes a folder away; False where it has become something else since. The caller keeps runs of the model out.

    Raises:
        StoreError: it cannot be taken away. Half of it is in nobody's way, and goes with the next sweep or pruning.
    """
    filesystem, path = open_folder(old.folder)
    try:
        if isinstance(filesystem, fs.LocalFileSystem):
            return _remove_local(Path(open_folder(samples_uri.rstrip("/"))[1]), Path(path), old)
        if not _is_still(old):
            return False
        clear_remote(filesystem, path)
        return True
    except (OSError, pa.ArrowException) as error:
        raise StoreError(f"{old.folder} cannot be taken away: {error}") from error


def sweep_halves(samples_uri: str) -> None:
    """Takes away what a pruning that was killed has put aside."""
    filesystem, path = open_folder(samples_uri.rstrip("/"))
    if isinstance(filesystem, fs.LocalFileSystem):
        sweep_staging(Path(path))


def _judge(folder: str, files: dict[str, fs.FileInfo], before: datetime) -> OldSet | None:
    """What a folder is by its files and, where these leave it open, by its manifest; None where it stays."""
    if not files or {SAMPLES, DETACHED} & files.keys():
        return None
    written_at = datetime.fromtimestamp(max((info.mtime_ns or 0) / 1e9 for info in files.values()), UTC)
    if written_at >= before:
        return None
    size = sum(info.size or 0 for info in files.values())
    found = OldSet(folder, "rejected" if MANIFEST in files else "unfinished", size, written_at)
    return found if _is_still(found, before) else None


def _is_still(old: OldSet, before: datetime | None = None) -> bool:
    """Whether a folder is what it was taken for; a set that cannot be read stays, for a person to look at."""
    try:
        manifest = read_manifest(old.folder)
    except StoreError:
        return False
    if manifest is None:
        return old.kind == "unfinished"
    if old.kind == "unfinished" or manifest.get("status") != "rejected":
        return False
    # A store that was copied has new files, and a run that was retried an old date: both have to be old.
    return before is None or _read_date(manifest.get("created_at")) < before


def _read_date(text: object) -> datetime:
    """A date that cannot be read is new."""
    try:
        return datetime.fromisoformat(str(text)).astimezone(UTC)
    except ValueError:
        return datetime.max.replace(tzinfo=UTC)


def _remove_local(root: Path, folder: Path, old: OldSet) -> bool:
    """One rename, in the turn of the pool's writers: a reader meets the set as it was, or none."""
    with make_staging(root) as staging, take_turn(folder.parent):
        if not _is_still(old):
            return False
        aside = staging / "pruned"
        folder.rename(aside)
        shutil.rmtree(aside)
        return True
