"""Changes to the calls of a plan, and their SQL statements."""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import Connection, TextClause, text

from engine.llm.client.request import Reply

# A tolerance for limits that sums of prices reach exactly.
TINY_USD = 1e-9
# The session name of calls in a batch, which are neither unconfirmed nor in flight in this process.
IN_BATCH = "batch"
# A session without a heartbeat for so long counts as dead; a live one sends three heartbeats in this time.
DEAD_SECONDS = 60.0

NOTE_OPENING = text(
    "INSERT INTO exemplars_openings (opening, plan_id, handle, used_at, is_open) "
    "VALUES (:opening, :plan_id, :handle, :used_at, :is_open) "
    "ON CONFLICT (opening) DO UPDATE SET used_at = excluded.used_at, is_open = excluded.is_open"
)
BEGIN_CALL = text(
    "INSERT INTO exemplars_calls (call, plan_id, opening, budget, usd, ended, begun_at) "
    "VALUES (:call, :plan_id, :opening, :budget, :usd, FALSE, :begun_at)"
)
END_CALL = text("UPDATE exemplars_calls SET usd = :usd, ended = TRUE WHERE call = :call")
DROP_CALL = text("DELETE FROM exemplars_calls WHERE call = :call")
# The call is no longer in flight in any session.
LOSE_CALL = text("UPDATE exemplars_calls SET opening = '' WHERE call = :call")
KEEP_REPLY = text(
    "INSERT INTO exemplars_replies (plan_id, key, reply, identity, bytes) "
    "VALUES (:plan_id, :key, :reply, :identity, :bytes) ON CONFLICT DO NOTHING"
)
FIND_REPLY = text("SELECT reply FROM exemplars_replies WHERE plan_id = :plan_id AND key = :key")
# One transaction at a time decides whether calls fit into a limit; a file is locked as a whole.
LOCK_BUDGET = text("SELECT pg_advisory_xact_lock(hashtext(:budget))")
SUM_BUDGET = text(
    "SELECT coalesce(sum(usd), 0.0), coalesce(sum(CASE WHEN NOT ended AND opening IN "
    "(SELECT opening FROM exemplars_openings WHERE is_open AND used_at > :alive) THEN usd END), 0.0) "
    "FROM exemplars_calls WHERE budget = :budget"
)


@dataclass(frozen=True, slots=True)
class PlanSession:
    """One use of a plan, from its opening to its end: it is live or, if ``is_open`` is False, over."""

    opening: str
    plan_id: str
    handle: str | None
    is_open: bool = True


@dataclass(frozen=True, slots=True)
class SharedLimit:
    """The maximum cost of all calls with the same budget, in all processes and on all machines."""

    budget: str
    max_usd: float


@dataclass(frozen=True, slots=True)
class CallStarted:
    """A call is about to be made and may cost up to ``usd``; None if that is unknown."""

    call: int
    plan_id: str
    opening: str
    usd: float | None
    limit: SharedLimit | None = None


@dataclass(frozen=True, slots=True)
class CallFailed:
    """A call ended without a reply; if it may have been billed, its maximum cost stays counted."""

    call: int
    maybe_billed: bool = False


@dataclass(frozen=True, slots=True)
class ReplyStored:
    """A reply arrived, as JSON; ``call`` is the number of its call, if that was recorded, ``usd`` its cost."""

    plan_id: str
    key: str
    reply: str
    identity: str | None
    bytes: int
    call: int | None
    usd: float | None

    @classmethod
    def of(cls, plan_id: str, key: str, reply: Reply, identity: str | None, call: int | None) -> "ReplyStored":
        """Return the change that stores a reply."""
        reply_json = json.dumps(asdict(reply), ensure_ascii=False)
        return cls(plan_id, key, reply_json, identity, len(reply_json.encode()) + len(key), call, reply.cost_usd)


# The fields of each class are the parameters of its statements.
Change = PlanSession | CallStarted | CallFailed | ReplyStored


@dataclass(frozen=True, slots=True)
class Refused:
    """A call that would exceed a shared limit; ``in_flight_usd`` is what calls in flight may still release."""

    spent_usd: float
    in_flight_usd: float


Outcome = str | Refused | None


def find_alive() -> float:
    """Return the minimum heartbeat time of a live session, in seconds since 1970."""
    return time.time() - DEAD_SECONDS


def apply_changes(connection: Connection, changes: Sequence[Change]) -> list[Outcome]:
    """Make changes in a transaction.

    Returns:
        For each change: ``Refused`` for a ``CallStarted`` above its limit; for a ``ReplyStored`` whose key has another
        reply already, that reply, which stays; else None.
    """
    outcomes: dict[Change, Outcome] = {}
    started = [change for change in changes if isinstance(change, CallStarted)]
    # Locks are taken in the same order everywhere, as for the keys of replies, to avoid deadlocks between machines.
    for limit in sorted({change.limit for change in started}, key=str):
        outcomes |= _begin(connection, [change for change in started if change.limit == limit], limit)
    kept = sorted(
        (change for change in changes if isinstance(change, ReplyStored)), key=lambda kept: (kept.plan_id, kept.key)
    )
    if _execute(connection, KEEP_REPLY, kept) < len(kept):
        # Only for existing replies, which are rare.
        existing = {change: connection.scalar(FIND_REPLY, asdict(change)) for change in kept}
        outcomes |= {change: reply for change, reply in existing.items() if reply != change.reply}
    _execute(connection, END_CALL, [change for change in kept if change.call is not None])
    unanswered = [change for change in changes if isinstance(change, CallFailed)]
    _execute(connection, DROP_CALL, [change for change in unanswered if not change.maybe_billed])
    _execute(connection, LOSE_CALL, [change for change in unanswered if change.maybe_billed])
    openings = [change for change in changes if isinstance(change, PlanSession)]
    _execute(connection, NOTE_OPENING, openings, used_at=time.time())
    return [outcomes.get(change) for change in changes]


def _begin(connection: Connection, started: Sequence[CallStarted], limit: SharedLimit | None) -> dict[Change, Outcome]:
    """Record the calls that fit into their limit, and return the refused calls with their refusals."""
    fitting, refused = list(started), dict[Change, Outcome]()
    if limit is not None:
        if connection.dialect.name == "postgresql":
            connection.execute(LOCK_BUDGET, {"budget": limit.budget})
        spent_usd, in_flight_usd = connection.execute(SUM_BUDGET, {"budget": limit.budget, "alive": find_alive()}).one()
        fitting = []
        for change in started:
            ceiling_usd = change.usd or 0.0
            if spent_usd + ceiling_usd > limit.max_usd + TINY_USD:
                refused[change] = Refused(spent_usd, in_flight_usd)
                continue
            fitting.append(change)
            spent_usd, in_flight_usd = spent_usd + ceiling_usd, in_flight_usd + ceiling_usd
    _execute(connection, BEGIN_CALL, fitting, budget=limit.budget if limit else None, begun_at=time.time())
    return refused


def _execute(connection: Connection, statement: TextClause, changes: Sequence[Change], **extra: object) -> int:
    rows = [asdict(change) | extra for change in changes]
    return connection.execute(statement, rows).rowcount if rows else 0
