"""The kept replies of all plans on a store: listed, cleared by handle, and pruned where they were not used for long."""

from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pyarrow import fs

from engine.errors import StoreError
from engine.files import list_below, open_folder
from engine.plan_store import FAILURES, HANDLE, PLAN, UNKNOWN
from engine.segments import read_count, read_token
from engine.uploader import TOUCH_SECONDS

# A plan takes a store some 50 ms to drop, most of which is waiting.
REMOVERS = 8


@dataclass(frozen=True, slots=True)
class StoredPlan:
    """A plan of which replies are on a store; ``handle`` is None where it does not say.

    ``used_at`` is when something of it was last put, which an opening does where it has not been for an hour.
    """

    plan_id: str
    handle: str | None
    replies: int
    segments: int
    bytes: int
    used_at: datetime


@dataclass(frozen=True, slots=True)
class RemovedSegments:
    """What was removed from a store, or would be; ``failed`` says why something could not."""

    plans: tuple[StoredPlan, ...] = ()
    failed: tuple[str, ...] = ()

    @property
    def segments(self) -> int:
        """How many they had."""
        return sum(plan.segments for plan in self.plans)

    @property
    def replies(self) -> int:
        """How many were in those."""
        return sum(plan.replies for plan in self.plans)

    @property
    def bytes(self) -> int:
        """What they took."""
        return sum(plan.bytes for plan in self.plans)


def list_stored(replies_uri: str) -> list[StoredPlan]:
    """The plans of which replies are on a store, the longest unused first; one request for 1,000 files.

    Raises:
        StoreError: the store cannot be listed.
    """
    return _list_plans(replies_uri, "")


def count_stored(replies_uri: str, plan_id: str) -> int:
    """How many replies of a plan are on a store, those that are there twice counted twice.

    Raises:
        StoreError: the store cannot be listed.
    """
    return sum(plan.replies for plan in _list_plans(replies_uri, f"/{PLAN}{plan_id}"))


def prune_segments(replies_uri: str, max_days: float, now: datetime, dry_run: bool = False) -> RemovedSegments:
    """Removes the replies of whole plans that were not used for so many days and an hour.

    A plan that is opened meanwhile stays: each is looked at once more before it goes.

    Args:
        max_days: ``EXEMPLARS_CACHE_MAX_DAYS``.
        dry_run: removes nothing, and tells what would go.

    Raises:
        StoreError: the store cannot be listed.
    """
    # For so long an opening need not show.
    oldest = now - timedelta(days=max_days, seconds=TOUCH_SECONDS)
    unused = [plan for plan in list_stored(replies_uri) if plan.used_at < oldest]
    return RemovedSegments(tuple(unused)) if dry_run else _remove_all(replies_uri, unused, oldest)


def clear_stored(replies_uri: str, handle: str | None, but_for: Collection[str] = ()) -> RemovedSegments:
    """Removes the replies of one model, or, of None, all of them, but for some plans'.

    What another machine has open goes too: it has its replies itself, and puts those that it keeps from then on.

    Raises:
        StoreError: the store cannot be listed.
    """
    chosen = [
        plan for plan in list_stored(replies_uri) if handle in (None, plan.handle) and plan.plan_id not in but_for
    ]
    return _remove_all(replies_uri, chosen, None)


def _remove_all(replies_uri: str, plans: Sequence[StoredPlan], oldest: datetime | None) -> RemovedSegments:
    def remove(plan: StoredPlan) -> str | None:
        try:
            return _remove(replies_uri, plan, oldest)
        except (StoreError, *FAILURES) as error:
            return f"plan {plan.plan_id}: {error}"

    with ThreadPoolExecutor(REMOVERS, "removers") as pool:
        outcomes = list(zip(plans, pool.map(remove, plans), strict=True))
    removed = tuple(plan for plan, failure in outcomes if failure is None)
    return RemovedSegments(removed, tuple(failure for _, failure in outcomes if failure))


def _remove(replies_uri: str, plan: StoredPlan, oldest: datetime | None) -> str | None:
    """None where the plan is gone; empty where it has been used since and stays."""
    filesystem, root = open_folder(replies_uri)
    if oldest is not None and any(now.used_at >= oldest for now in _list_plans(replies_uri, f"/{PLAN}{plan.plan_id}")):
        return ""
    filesystem.delete_dir(f"{root.rstrip('/')}/{PLAN}{plan.plan_id}")
    return None


def _list_plans(replies_uri: str, below: str) -> list[StoredPlan]:
    filesystem, root = open_folder(replies_uri)
    root = root.rstrip("/")
    try:
        infos = list_below(filesystem, f"{root}{below}", recursive=True)
    except FAILURES as error:
        raise StoreError(
            f"The kept replies on {replies_uri} cannot be listed: {error}. Let the store be reached and read, or point "
            "EXEMPLARS_REPLIES_URI at another"
        ) from error
    found: dict[str, list[fs.FileInfo]] = {}
    for info in infos:
        plan, slash, _ = info.path.removeprefix(f"{root}/").partition("/")
        if slash and plan.startswith(PLAN) and info.type == fs.FileType.File:
            found.setdefault(plan.removeprefix(PLAN), []).append(info)
    plans = [_describe(plan_id, files) for plan_id, files in found.items()]
    return sorted(plans, key=lambda plan: (plan.used_at, plan.plan_id))


def _describe(plan_id: str, files: Sequence[fs.FileInfo]) -> StoredPlan:
    segments = [info.base_name for info in files if read_token(info.base_name)]
    used_at = max(info.mtime for info in files).astimezone(UTC)
    replies, size = sum(map(read_count, segments)), sum(info.size for info in files)
    return StoredPlan(plan_id, _find_handle(info.path for info in files), replies, len(segments), size, used_at)


def _find_handle(paths: Iterable[str]) -> str | None:
    named = {part.removeprefix(HANDLE) for path in paths for part in path.split("/")[-2:-1] if part.startswith(HANDLE)}
    return next(iter(sorted(named - {UNKNOWN})), None)
