"""What happens to the calls of a plan, and how the database takes it: every change may safely be made twice."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select, update

from engine.replies.statements import find_statements
from engine.replies.tables import calls, replies

# An opening that has said nothing for so long is taken for dead; a live one says something three times in that time.
DEAD_SECONDS = 60.0
# Whose a call is that is in flight no longer.
NOBODY = ""


@dataclass(frozen=True, slots=True)
class OpenPlan:
    """One opening of a plan."""

    opening: str
    plan_id: str
    handle: str


@dataclass(frozen=True, slots=True)
class Begun:
    """A call is about to be made and may cost so much; None where that is not known."""

    plan: OpenPlan
    call: int
    bound_usd: float | None


@dataclass(frozen=True, slots=True)
class Dropped:
    """A call that had begun came to nothing."""

    call: int


@dataclass(frozen=True, slots=True)
class Kept:
    """A reply came, as JSON; ``call`` is the number of its call, where that was noted."""

    plan: OpenPlan
    key: str
    reply: str
    cost_usd: float | None
    call: int | None


Change = Begun | Dropped | Kept


Outcome = str | None


def apply_changes(connection: Connection, changes: Sequence[Change]) -> list[Outcome]:
    """Makes changes in a transaction.

    Returns:
        For each ``Kept`` whose key has a reply already, that reply, which stands; else None. Where a call was paid for
        and another one's reply stands, what it cost stays on record.
    """
    outcomes: list[Outcome] = [None] * len(changes)
    statements = find_statements(connection)
    if begun := [
        _make_row(change, change.bound_usd, change.plan.opening) for change in changes if isinstance(change, Begun)
    ]:
        connection.execute(statements.note_call, begun)
    kept = [(number, change) for number, change in enumerate(changes) if isinstance(change, Kept)]
    # In one order everywhere: else two machines with the same keys wait for each other.
    kept.sort(key=lambda item: (item[1].plan.plan_id, item[1].key))
    for (number, change), is_new in zip(kept, _keep(connection, [change for _, change in kept]), strict=True):
        if not is_new:
            outcomes[number] = _find_standing(connection, change)
            _note_double(connection, change)
    ended = [{"ended": change.call} for change in changes if not isinstance(change, Begun) and change.call is not None]
    if ended:
        connection.execute(statements.end_call, ended)
    return outcomes


def touch_plans(connection: Connection, plans: Sequence[OpenPlan]) -> None:
    """Notes that plans are used, and how many replies they have by now, of how many bytes."""
    rows = [{"plan_id": plan.plan_id, "handle": plan.handle or None} for plan in plans]
    connection.execute(find_statements(connection).touch_plan, rows)


def beat(connection: Connection, live: Sequence[OpenPlan]) -> None:
    """Notes that these openings live, and what has come of their plans."""
    touch_plans(connection, live)
    rows = [{"opening": plan.opening, "plan_id": plan.plan_id} for plan in live]
    connection.execute(find_statements(connection).beat, rows)


def parse_reply(text: str) -> dict[str, Any] | None:
    """The fields of a reply; None where it cannot be read."""
    try:
        fields = json.loads(text.encode())
    except ValueError:
        return None
    whole = isinstance(fields, dict) and all(isinstance(fields.get(name), str) for name in ("text", "finish"))
    return fields if whole else None


def _make_row(change: Begun | Kept, bound_usd: float | None, opening: str) -> dict[str, Any]:
    return {"call": change.call, "plan_id": change.plan.plan_id, "opening": opening, "bound_usd": bound_usd}


def _keep(connection: Connection, kept: Sequence[Kept]) -> list[bool]:
    """For each reply, whether it is the first of its key."""
    if not kept:
        return []
    rows = [
        {
            "plan_id": change.plan.plan_id,
            "key": change.key,
            "reply": change.reply,
            "cost_usd": change.cost_usd,
            "bytes": len(change.reply.encode()) + len(change.key),
        }
        for change in kept
    ]
    inserted = {tuple(row) for row in connection.execute(find_statements(connection).keep_reply, rows)}
    new = []
    for change in kept:
        place = change.plan.plan_id, change.key
        new.append(place in inserted)
        # A second one of the group with this key is not the first.
        inserted.discard(place)
    return new


def _find_standing(connection: Connection, change: Kept) -> str | None:
    """The reply that stands in the place of another; one that cannot be read gives way."""
    mine = (replies.c.plan_id == change.plan.plan_id) & (replies.c.key == change.key)
    standing = connection.scalar(select(replies.c.reply).where(mine))
    if standing is not None and parse_reply(standing) is not None:
        return str(standing)
    connection.execute(update(replies).where(mine).values(reply=change.reply, cost_usd=change.cost_usd))
    return None


def _note_double(connection: Connection, change: Kept) -> None:
    """Leaves a call that was paid for, and whose reply is not needed, on record with what it cost.

    Where this is done a second time, no such call is on record any more.
    """
    if change.call is None or not change.cost_usd:
        return
    # Under a number of its own: its call is about to be crossed out.
    mine = calls.c.call == change.call
    connection.execute(update(calls).where(mine).values(opening=NOBODY, bound_usd=change.cost_usd, call=-change.call))
