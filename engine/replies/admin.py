"""Lists, prunes and clears the kept replies of all plans on this machine, for ``exemplars cache``."""

import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from engine.errors import StoreError
from engine.replies.database import read_plan_summary
from engine.replies.plan_folder import REMOVED, TURN, InUseError, is_in_use, remove_folder
from engine.replies.remote_admin import count_stored
from engine.replies.tables import REPLIES
from engine.settings import RepliesPlace

BYTES_PER_GB = 10**9


@dataclass(frozen=True, slots=True)
class CachedPlan:
    """A plan of which replies are kept.

    ``handle`` is None where the replies are of a version that did not note it, or cannot be read; ``replies`` is None
    where they cannot be counted. ``used_at`` is when a run or a replay last opened or left it.
    """

    folder: Path
    handle: str | None
    replies: int | None
    bytes: int
    used_at: datetime
    in_use: bool

    @property
    def plan_id(self) -> str:
        """The name of its folder."""
        return self.folder.name


@dataclass(frozen=True, slots=True)
class Removed:
    """What was removed. What was to be, but is open in a live process, is ``in_use``; ``failed`` says why it could not.

    ``replies`` counts those of the plans that could be read.
    """

    plans: int
    replies: int
    bytes: int
    in_use: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()


def count_kept_replies(place: RepliesPlace, plan_id: str) -> int | None:
    """How many replies are kept of one plan, here or, where none are here, on the store; None where none can be read.

    Nothing is opened for writing.
    """
    with suppress(sqlite3.Error, OSError):
        return read_plan_summary(Path(place.cache_dir) / plan_id)[1]
    with suppress(StoreError):
        return (count_stored(place.uri, plan_id) if place.uri else 0) or None
    return None


def list_cache(cache_dir: str) -> list[CachedPlan]:
    """The plans of which replies are kept, the longest unused first.

    Raises:
        StoreError: the folder cannot be read.
    """
    with _translate(cache_dir):
        return sorted((_describe(folder) for folder in _list_folders(cache_dir)), key=lambda plan: plan.used_at)


def prune_cache(cache_dir: str, max_days: float, max_gb: float, now: datetime, but_for: Sequence[str] = ()) -> Removed:
    """Removes whole plans, the longest unused first: those unused for so many days, and as many as are over the size.

    One that is open somewhere stays, and so do those of the ids ``but_for``.

    Args:
        max_gb: 10^9 bytes.

    Raises:
        StoreError: the folder cannot be read.
    """
    with _translate(cache_dir):
        _remove_halves(Path(cache_dir))
        return _remove_all(_choose_unused(cache_dir, max_days, max_gb, now, but_for))


def list_prunable(cache_dir: str, max_days: float, max_gb: float, now: datetime) -> list[CachedPlan]:
    """The plans that ``prune_cache`` would remove, the longest unused first; nothing is changed.

    Raises:
        StoreError: the folder cannot be read.
    """
    with _translate(cache_dir):
        return [_describe(folder) for folder in _choose_unused(cache_dir, max_days, max_gb, now)]


def clear_cache(cache_dir: str, handle: str | None) -> Removed:
    """Removes the replies of one model, or, of None, all of them.

    Raises:
        StoreError: the folder cannot be read.
    """
    plans = list_cache(cache_dir)
    with _translate(cache_dir):
        return _remove_all([plan.folder for plan in plans if handle in (None, plan.handle)])


def _choose_unused(
    cache_dir: str, max_days: float, max_gb: float, now: datetime, but_for: Sequence[str] = ()
) -> list[Path]:
    sizes = {folder: _measure(folder) for folder in _list_folders(cache_dir)}
    oldest = now - timedelta(days=max_days)
    excess = sum(sizes.values()) - max_gb * BYTES_PER_GB
    chosen = []
    for used_at, folder in sorted((_read_use(folder), folder) for folder in sizes):
        if (used_at < oldest or excess > 0) and folder.name not in but_for and not is_in_use(folder):
            chosen.append(folder)
            excess -= sizes[folder]
    return chosen


def _remove_all(folders: Sequence[Path]) -> Removed:
    plans = replies = size = 0
    in_use, failed = [], []
    for folder in folders:
        plan = _describe(folder)
        try:
            remove_folder(folder)
        except InUseError:
            in_use.append(plan.plan_id)
        except OSError as error:
            failed.append(f"{folder}: {error.strerror or error}")
        else:
            plans, replies, size = plans + 1, replies + (plan.replies or 0), size + plan.bytes
    return Removed(plans, replies, size, tuple(in_use), tuple(failed))


def _list_folders(cache_dir: str) -> list[Path]:
    """The folders of plans, and of nothing else that may lie there."""
    folder = Path(cache_dir)
    if not folder.exists():
        return []
    return [
        plan
        for plan in sorted(folder.iterdir())
        if not plan.name.startswith(REMOVED) and any((plan / name).is_file() for name in (REPLIES, TURN))
    ]


def _describe(folder: Path) -> CachedPlan:
    handle, replies = None, None
    # One that is damaged, or not made to its end, still has a size.
    with suppress(sqlite3.Error):
        handle, replies = read_plan_summary(folder)
    return CachedPlan(folder, handle, replies, _measure(folder), _read_use(folder), is_in_use(folder))


def _measure(folder: Path) -> int:
    """Bytes; files go while a plan is in use."""
    return sum(_stat_size(path) for path in folder.rglob("*"))


def _stat_size(path: Path) -> int:
    try:
        return path.stat().st_size if path.is_file() else 0
    except FileNotFoundError:
        return 0


def _read_use(folder: Path) -> datetime:
    """Plans of older versions have no file that is touched by their use, and are as old as their replies."""
    used = folder / TURN if (folder / TURN).exists() else folder / REPLIES
    return datetime.fromtimestamp(used.stat().st_mtime, UTC)


def _remove_halves(folder: Path) -> None:
    """What a process has left that died while it removed a plan."""
    if folder.exists():
        for half in folder.glob(f"{REMOVED}*"):
            shutil.rmtree(half, ignore_errors=True)


@contextmanager
def _translate(cache_dir: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"The kept replies in {cache_dir} cannot be listed: {error.strerror or error}. Permit reading, or point "
            "EXEMPLARS_CACHE_DIR at another folder"
        ) from error
