"""Lists, prunes and clears the kept replies of all plans on the store that machines share."""

from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pyarrow import fs

from engine.errors import StoreError
from engine.replies.remote_plan import FAILURES, HANDLE, PLAN, UNKNOWN
from engine.replies.segments import read_count, read_token
from engine.replies.uploader import TOUCH_SECONDS
from engine.system.filesystem import list_below, open_folder

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
    return _Store(replies_uri).list()


def count_stored(replies_uri: str, plan_id: str) -> int:
    """How many replies of a plan are on a store, those that are there twice counted twice.

    Raises:
        StoreError: the store cannot be listed.
    """
    return sum(plan.replies for plan in _Store(replies_uri).list(plan_id))


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
    store = _Store(replies_uri)
    unused = [plan for plan in store.list() if plan.used_at < oldest]
    return RemovedSegments(tuple(unused)) if dry_run else store.remove(unused, oldest)


def clear_stored(replies_uri: str, handle: str | None, but_for: Collection[str] = ()) -> RemovedSegments:
    """Removes the replies of one model, or, of None, all of them, but for some plans'.

    What another machine has open goes too: it has its replies itself, and puts those that it keeps from then on.

    Raises:
        StoreError: the store cannot be listed.
    """
    store = _Store(replies_uri)
    return store.remove(
        [plan for plan in store.list() if handle in (None, plan.handle) and plan.plan_id not in but_for]
    )


class _Store:
    """All plans on a store, through one client."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._filesystem, root = open_folder(uri)
        self._root = root.rstrip("/")

    def list(self, plan_id: str | None = None) -> list[StoredPlan]:
        """All plans, or the one, the longest unused first."""
        below = self._root if plan_id is None else self._locate(plan_id)
        try:
            infos = list_below(self._filesystem, below, recursive=True)
        except FAILURES as error:
            raise StoreError(
                f"The kept replies on {self._uri} cannot be listed: {error}. Let the store be reached and read, or "
                "point EXEMPLARS_REPLIES_URI at another"
            ) from error
        found: dict[str, list[fs.FileInfo]] = {}
        for info in infos:
            plan, slash, _ = info.path.removeprefix(f"{self._root}/").partition("/")
            if slash and plan.startswith(PLAN) and info.type == fs.FileType.File:
                found.setdefault(plan.removeprefix(PLAN), []).append(info)
        plans = [_describe(plan_id, files) for plan_id, files in found.items()]
        return sorted(plans, key=lambda plan: (plan.used_at, plan.plan_id))

    def remove(self, plans: Sequence[StoredPlan], oldest: datetime | None = None) -> RemovedSegments:
        """Removes some plans, but for those that were used since ``oldest`` all the same."""
        with ThreadPoolExecutor(REMOVERS, "removers") as pool:
            outcomes = list(zip(plans, pool.map(lambda plan: self._remove(plan.plan_id, oldest), plans), strict=True))
        removed = tuple(plan for plan, outcome in outcomes if outcome is None)
        return RemovedSegments(removed, tuple(outcome for _, outcome in outcomes if outcome))

    def _remove(self, plan_id: str, oldest: datetime | None) -> str | None:
        """None where a plan is gone; empty where it was used since and stays, else why it does."""
        try:
            if oldest is not None and any(plan.used_at >= oldest for plan in self.list(plan_id)):
                return ""
            self._filesystem.delete_dir(self._locate(plan_id))
        except (StoreError, *FAILURES) as error:
            return f"plan {plan_id}: {error}"
        return None

    def _locate(self, plan_id: str) -> str:
        return f"{self._root}/{PLAN}{plan_id}"


def _describe(plan_id: str, files: Sequence[fs.FileInfo]) -> StoredPlan:
    segments = [info.base_name for info in files if read_token(info.base_name)]
    used_at = max(info.mtime for info in files).astimezone(UTC)
    replies, size = sum(map(read_count, segments)), sum(info.size for info in files)
    return StoredPlan(plan_id, _find_handle(info.path for info in files), replies, len(segments), size, used_at)


def _find_handle(paths: Iterable[str]) -> str | None:
    named = {part.removeprefix(HANDLE) for path in paths for part in path.split("/")[-2:-1] if part.startswith(HANDLE)}
    return next(iter(sorted(named - {UNKNOWN})), None)
