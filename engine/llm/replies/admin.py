"""List, prune and clear the kept replies of all plans, for ``exemplars prune --replies`` and ``exemplars prune``."""

import json
from collections import Counter
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, text

from engine.errors import StoreError
from engine.llm.replies.changes import find_alive
from engine.llm.replies.database import Database, name_database, read_rows
from engine.settings import DatabaseUrl

BYTES_PER_GB = 10**9

COUNT_REPLIES = text(
    "SELECT count(*) FROM exemplars_replies WHERE plan_id = :plan_id AND coalesce(identity, :identity) = :identity"
)
COUNT_REQUESTED = text(
    "SELECT plan_id, identity, count(*) FROM exemplars_replies WHERE identity IS NOT NULL AND plan_id IN "
    "(SELECT plan_id FROM exemplars_openings WHERE handle = :handle) GROUP BY plan_id, identity"
)
LIST_PLANS = text(
    "SELECT used.plan_id, used.handle, coalesce(kept.replies, 0), coalesce(kept.bytes, 0), used.used_at, used.live > 0 "
    "OR used.plan_id IN (SELECT plan_id FROM exemplars_batch_runs) "
    "OR used.plan_id IN (SELECT plan_id FROM exemplars_lines WHERE state IN ('waits', 'sent')) "
    "FROM (SELECT plan_id, max(handle) AS handle, max(used_at) AS used_at, "
    "sum(CASE WHEN is_open AND used_at > :alive THEN 1 ELSE 0 END) AS live FROM exemplars_openings GROUP BY plan_id) "
    "AS used LEFT JOIN (SELECT plan_id, count(*) AS replies, sum(bytes) AS bytes FROM exemplars_replies "
    "GROUP BY plan_id) AS kept ON kept.plan_id = used.plan_id ORDER BY used.used_at, used.plan_id"
)
# No plan may be opened while plans are removed; a file is locked as a whole.
LOCK_OPENINGS = text("LOCK TABLE exemplars_openings IN SHARE ROW EXCLUSIVE MODE")
# The amount spent under a backfill's limit counts as long as the backfill can be started again.
DELETIONS = [
    text(statement).bindparams(bindparam("plans", expanding=True))
    for statement in (
        "DELETE FROM exemplars_replies WHERE plan_id IN :plans",
        "DELETE FROM exemplars_openings WHERE plan_id IN :plans",
        "DELETE FROM exemplars_lines WHERE plan_id IN :plans AND state NOT IN ('waits', 'sent')",
        "DELETE FROM exemplars_calls WHERE plan_id IN :plans AND budget IS NULL",
        "UPDATE exemplars_calls SET plan_id = '' WHERE plan_id IN :plans",
    )
]
LIST_ANSWERS = text("SELECT reply FROM exemplars_replies WHERE plan_id = :plan_id ORDER BY key")
DELETE_OLD_CALLS = text("DELETE FROM exemplars_calls WHERE plan_id = '' AND begun_at < :oldest")


@dataclass(frozen=True, slots=True)
class CachedPlan:
    """A plan with kept replies.

    ``used_at`` is when a run last opened or left it. It stays in use for up to a minute after its process was killed,
    and as long as a run waits for its batch.
    """

    plan_id: str
    handle: str | None
    replies: int
    bytes: int
    used_at: datetime
    in_use: bool
    where: str


def count_kept_replies(place: DatabaseUrl, plan_id: str, identity: str) -> int:
    """Count the kept replies of one plan, excluding other embedded models; return 0 if they cannot be read.

    Args:
        identity: the identity of the current endpoint.
    """
    with suppress(StoreError):
        return sum(count for [count] in read_rows(place, COUNT_REPLIES, plan_id=plan_id, identity=identity))
    return 0


def count_requested(place: DatabaseUrl, handle: str) -> dict[str, Counter[str]]:
    """Count the replies to each plan of a model, by plan id and the identity of the embedded model that gave them.

    The result is empty if no replies are kept, or if they cannot be read.
    """
    counts: dict[str, Counter[str]] = {}
    with suppress(StoreError):
        for plan_id, identity, count in read_rows(place, COUNT_REQUESTED, handle=handle):
            counts.setdefault(plan_id, Counter())[identity] = count
    return counts


def list_answers(place: DatabaseUrl, plan_id: str) -> list[str]:
    """Return the texts of a plan's kept replies; none if they cannot be read. Nothing is written."""
    with suppress(StoreError):
        rows = read_rows(place, LIST_ANSWERS, plan_id=plan_id)
        return [str(json.loads(reply)["text"]) for [reply] in rows]
    return []


def list_cache(place: DatabaseUrl, handle: str | None = None) -> list[CachedPlan]:
    """Return the plans with kept replies, of one model or, for None, of all models; the longest unused first.

    Raises:
        StoreError: the database cannot be read.
    """
    plans = _make_plans(place, read_rows(place, LIST_PLANS, alive=find_alive()))
    return [plan for plan in plans if handle in (None, plan.handle)]


def list_prunable(place: DatabaseUrl, max_days: float, max_gb: float, now: datetime) -> list[CachedPlan]:
    """List unused plans older than ``max_days`` or in excess of ``max_gb``, the longest unused first.

    Args:
        max_gb: maximum size of all replies, in units of 10^9 bytes.

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


def remove_plans(place: DatabaseUrl, plans: Sequence[CachedPlan], oldest: datetime | None = None) -> list[CachedPlan]:
    """Remove the replies of whole plans and return these plans. Plans in use, or used since they were listed, stay.

    Args:
        oldest: if given, records of calls before this time, of removed plans under backfill limits, are removed too.

    Raises:
        StoreError: the database cannot be written.
    """

    def delete(connection: Connection) -> list[CachedPlan]:
        if connection.dialect.name == "postgresql":
            connection.execute(LOCK_OPENINGS)
        current = set(_make_plans(place, connection.execute(LIST_PLANS, {"alive": find_alive()}).all()))
        removed = [plan for plan in plans if not plan.in_use and plan in current]
        for statement in DELETIONS if removed else ():
            connection.execute(statement, {"plans": [plan.plan_id for plan in removed]})
        if oldest is not None:
            connection.execute(DELETE_OLD_CALLS, {"oldest": oldest.timestamp()})
        return removed

    if not plans:
        return []
    with closing(Database(place)) as database:
        return database.change(delete)


def _make_plans(place: DatabaseUrl, rows: Sequence[Any]) -> list[CachedPlan]:
    name = name_database(place)
    return [
        CachedPlan(plan_id, handle, replies, int(size), datetime.fromtimestamp(used_at, UTC), bool(in_use), name)
        for plan_id, handle, replies, size, used_at, in_use in rows
    ]
