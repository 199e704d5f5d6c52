"""Lists, prunes and clears the kept replies of all plans, for ``exemplars cache`` and at the end of runs."""

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

from sqlalchemy import Connection, delete, exists, select

from engine.errors import StoreError
from engine.llm.replies.changes import ASKED, DEAD_SECONDS, parse_reply
from engine.llm.replies.database import Database, name_database, read_database
from engine.llm.replies.tables import Clock, budgets, calls, openings, plans, replies
from engine.settings import RepliesPlace

BYTES_PER_GB = 10**9
IS_LIVE = openings.c.beat_at > Clock() - DEAD_SECONDS
# Plans that are removed in one transaction: a server takes no 10 s for so many.
AT_ONCE = 50


@dataclass(frozen=True, slots=True)
class CachedPlan:
    """A plan of which replies are kept.

    ``used_at`` is when a run last opened or left it; it is in use up to a minute longer than a process that was killed.
    """

    plan_id: str
    handle: str | None
    replies: int
    bytes: int
    used_at: datetime
    in_use: bool
    where: str


@dataclass(frozen=True, slots=True)
class Removed:
    """What was removed; plans that were to be, but are open in a live process, are ``in_use``."""

    plans: int
    replies: int
    bytes: int
    in_use: tuple[str, ...] = ()


def count_kept_replies(place: RepliesPlace, plan_id: str) -> int | None:
    """How many replies are kept of one plan; None where none are, or they cannot be read. Nothing is changed."""
    count = select(plans.c.replies).where(plans.c.plan_id == plan_id)
    with suppress(StoreError):
        return read_database(place, lambda connection: connection.scalar(count), None)
    return None


def count_asked(place: RepliesPlace, handle: str) -> dict[str, Counter[str]]:
    """How many replies each embedded model has given to each plan of a model, by plan id and the identity of who gave.

    Empty where none are kept, or they cannot be read. Nothing is changed.
    """
    kept = select(replies.c.plan_id, replies.c.reply).join(plans, plans.c.plan_id == replies.c.plan_id)
    kept = kept.where(plans.c.handle == handle)
    asked: dict[str, Counter[str]] = {}

    def count(connection: Connection) -> None:
        for plan_id, text in connection.execute(kept):
            if identity := (parse_reply(text) or {}).get(ASKED):
                asked.setdefault(plan_id, Counter())[identity] += 1

    with suppress(StoreError):
        read_database(place, count, None)
    return asked


def list_cache(place: RepliesPlace) -> list[CachedPlan]:
    """The plans of which replies are kept, the longest unused first; nothing is changed.

    Raises:
        StoreError: the database cannot be read.
    """
    name = name_database(place)
    kept: list[CachedPlan] = read_database(place, lambda connection: _list_plans(connection, name), [])
    return sorted(kept, key=lambda plan: (plan.used_at, plan.plan_id))


def prune_cache(place: RepliesPlace, max_days: float, max_gb: float, now: datetime) -> Removed:
    """Removes whole plans, the longest unused first: those unused for so many days, and as many as are over the size.

    One that is open somewhere stays. With the plans go the shared limits that were unused for as long: what was spent
    under a limit counts as long as its backfill may be started again.

    Args:
        max_gb: 10^9 bytes.

    Raises:
        StoreError: the database cannot be read or written.
    """
    oldest = now - timedelta(days=max_days)
    return _remove(place, list_prunable(place, max_days, max_gb, now), oldest.timestamp())


def list_prunable(place: RepliesPlace, max_days: float, max_gb: float, now: datetime) -> list[CachedPlan]:
    """The plans that ``prune_cache`` would remove, the longest unused first; nothing is changed.

    Raises:
        StoreError: the database cannot be read.
    """
    listed, oldest = list_cache(place), now - timedelta(days=max_days)
    excess = sum(plan.bytes for plan in listed) - max_gb * BYTES_PER_GB
    chosen = []
    for plan in listed:
        if (plan.used_at < oldest or excess > 0) and not plan.in_use:
            chosen.append(plan)
            excess -= plan.bytes
    return chosen


def clear_cache(place: RepliesPlace, handle: str | None) -> Removed:
    """Removes the replies of one model, or, of None, all of them.

    Raises:
        StoreError: the database cannot be read or written.
    """
    return _remove(place, [plan for plan in list_cache(place) if handle in (None, plan.handle)])


def _list_plans(connection: Connection, name: str) -> list[CachedPlan]:
    beaten = select(openings.c.opening).where(openings.c.plan_id == plans.c.plan_id, IS_LIVE)
    listed = select(plans.c.plan_id, plans.c.handle, plans.c.replies, plans.c.bytes, plans.c.used_at, exists(beaten))
    return [
        CachedPlan(plan_id, handle, count, size, datetime.fromtimestamp(used_at, UTC), bool(in_use), name)
        for plan_id, handle, count, size, used_at, in_use in connection.execute(listed)
    ]


def _remove(place: RepliesPlace, chosen: Sequence[CachedPlan], budgets_before: float | None = None) -> Removed:
    in_use = _delete(place, [plan.plan_id for plan in chosen], budgets_before) if chosen else []
    gone = [plan for plan in chosen if plan.plan_id not in in_use]
    return Removed(len(gone), sum(plan.replies for plan in gone), sum(plan.bytes for plan in gone), tuple(in_use))


def _delete(place: RepliesPlace, plan_ids: Sequence[str], budgets_before: float | None) -> list[str]:
    """Removes plans, but for those that are in use, whose ids it returns; a file gives its space back to the disk."""

    def act(some: Sequence[str], connection: Connection) -> list[str]:
        # An opening holds its plan's row first: after this one it is seen below, or comes when all is over.
        connection.execute(
            select(plans.c.plan_id).where(plans.c.plan_id.in_(some)).order_by(plans.c.plan_id).with_for_update()
        )
        in_use = set(connection.scalars(select(openings.c.plan_id).where(IS_LIVE)))
        going = [plan_id for plan_id in some if plan_id not in in_use]
        for table in (replies, calls, openings, plans):
            connection.execute(delete(table).where(table.c.plan_id.in_(going)))
        return [plan_id for plan_id in some if plan_id in in_use]

    database = Database(place)
    try:
        in_use = [plan_id for some in _split(plan_ids) for plan_id in database.change(partial(act, some))]
        if budgets_before is not None:
            database.change(partial(_delete_budgets, budgets_before))
        database.shrink()
        return in_use
    finally:
        database.close()


def _delete_budgets(before: float, connection: Connection) -> None:
    mine = (calls.c.budget == budgets.c.budget) & (calls.c.opening == openings.c.opening)
    in_flight = exists(select(calls.c.call).where(mine, IS_LIVE).correlate(budgets))
    connection.execute(delete(budgets).where(budgets.c.used_at < before, ~in_flight))


def _split(plan_ids: Sequence[str]) -> list[Sequence[str]]:
    return [plan_ids[start : start + AT_ONCE] for start in range(0, len(plan_ids), AT_ONCE)]
