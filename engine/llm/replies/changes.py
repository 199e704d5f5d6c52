"""What happens to the calls of a plan, and how the database takes it: every change may safely be made twice."""

import json
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select, update

from engine.llm.replies.statements import find_statements, insert_into
from engine.llm.replies.tables import Clock, budgets, calls, openings, replies

# Beside a reply's own fields: which embedded model gave it.
ASKED = "asked"
# For a limit that sums of prices reach exactly.
TINY_USD = 1e-12
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
class SharedLimit:
    """What all calls that name the same budget may cost together, whichever process or machine makes them."""

    budget: str
    max_usd: float


@dataclass(frozen=True, slots=True)
class Begun:
    """A call is about to be made and may cost so much; None where that is not known."""

    plan: OpenPlan
    call: int
    bound_usd: float | None
    limit: SharedLimit | None = None


@dataclass(frozen=True, slots=True)
class Dropped:
    """A call that had begun came to nothing."""

    call: int


@dataclass(frozen=True, slots=True)
class Abandoned:
    """A call ended without a reply and may have been billed: its bound counts for good."""

    call: int


@dataclass(frozen=True, slots=True)
class Kept:
    """A reply came, as JSON; ``call`` is the number of its call, where that was noted."""

    plan: OpenPlan
    key: str
    reply: str
    cost_usd: float | None
    call: int | None


Change = Begun | Dropped | Abandoned | Kept


@dataclass(frozen=True, slots=True)
class Refused:
    """A call that would break a shared limit; ``in_flight_usd`` is what others, still in flight, may yet give back."""

    committed_usd: float
    in_flight_usd: float


Outcome = str | Refused | None


def apply_changes(connection: Connection, changes: Sequence[Change]) -> list[Outcome]:
    """Makes changes in a transaction.

    Returns:
        For each change: of a ``Begun`` that breaks its limit, ``Refused``; of a ``Kept`` whose key has a reply already,
        that reply, which stands; else None. Where a call was paid for and another one's reply stands, what it cost
        stays on record.
    """
    outcomes: list[Outcome] = [None] * len(changes)
    _note(connection, [change for change in changes if isinstance(change, Begun) and change.limit is None])
    for number, change in enumerate(changes):
        if isinstance(change, Begun) and change.limit is not None:
            outcomes[number] = _note_within(connection, change, change.limit)
    kept = [(number, change) for number, change in enumerate(changes) if isinstance(change, Kept)]
    # In one order everywhere: else two machines with the same keys wait for each other.
    kept.sort(key=lambda item: (item[1].plan.plan_id, item[1].key))
    doubles = set()
    for (number, change), is_new in zip(kept, _keep(connection, [change for _, change in kept]), strict=True):
        if not is_new:
            outcomes[number] = _find_standing(connection, change)
            doubles.add(change.call)
    ended: dict[int, Kept | None] = {change.call: None for change in changes if isinstance(change, Dropped)}
    ended |= {change.call: change for _, change in kept if change.call is not None}
    _end_calls(connection, ended, doubles)
    if abandoned := [change.call for change in changes if isinstance(change, Abandoned)]:
        connection.execute(update(calls).where(calls.c.call.in_(abandoned)).values(opening=NOBODY))
    return outcomes


def touch_plans(connection: Connection, plans: Sequence[OpenPlan]) -> None:
    """Notes that plans are used, and how many replies they have by now, of how many bytes."""
    # In one order everywhere: else two machines wait for each other.
    rows = [{"plan_id": plan.plan_id, "handle": plan.handle or None} for plan in sorted(plans, key=_get_plan_id)]
    connection.execute(find_statements(connection).touch_plan, rows)


def _get_plan_id(plan: OpenPlan) -> str:
    return plan.plan_id


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


def _note(connection: Connection, begun: Sequence[Begun]) -> None:
    rows = [_make_row(change, change.bound_usd, change.plan.opening) for change in begun]
    if rows:
        connection.execute(find_statements(connection).note_call, rows)


def _make_row(change: Begun | Kept, bound_usd: float | None, opening: str, budget: str | None = None) -> dict[str, Any]:
    return {
        "call": change.call,
        "plan_id": change.plan.plan_id,
        "opening": opening,
        "bound_usd": bound_usd,
        "budget": budget,
    }


def _note_within(connection: Connection, change: Begun, limit: SharedLimit) -> Refused | None:
    bound_usd = change.bound_usd or 0.0
    row = {"budget": limit.budget, "committed_usd": 0.0, "used_at": Clock()}
    using = insert_into(connection.dialect.name, budgets).values(row)
    # It locks the row: where this very change is still being committed after it seemed lost, that is waited for.
    connection.execute(using.on_conflict_do_update(index_elements=[budgets.c.budget], set_={"used_at": Clock()}))
    if connection.scalar(select(calls.c.call).where(calls.c.call == change.call)) is not None:
        return None
    raised = budgets.c.committed_usd + bound_usd
    mine, fits = budgets.c.budget == limit.budget, raised <= limit.max_usd + TINY_USD
    committed = update(budgets).where(mine, fits).values(committed_usd=raised)
    if connection.execute(committed).rowcount:
        noted = _make_row(change, change.bound_usd, change.plan.opening, limit.budget)
        connection.execute(find_statements(connection).note_call, noted)
        return None
    committed_usd = connection.scalar(select(budgets.c.committed_usd).where(mine)) or 0.0
    live = select(openings.c.opening).where(openings.c.beat_at > Clock() - DEAD_SECONDS)
    in_flight = select(func.sum(calls.c.bound_usd)).where(calls.c.budget == limit.budget, calls.c.opening.in_(live))
    return Refused(committed_usd, connection.scalar(in_flight) or 0.0)


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


def _end_calls(connection: Connection, ended: Mapping[int, Kept | None], doubles: Collection[int | None]) -> None:
    """Crosses out calls that have ended, with the reply that each has brought, if any.

    One that was paid for and whose reply is not needed, since another's stands, stays with what it cost. Where this is
    done a second time, no such call is on record any more.
    """
    if not ended:
        return
    noted = connection.execute(find_statements(connection).end_calls, {"ended": list(ended)}).all()
    settled: dict[str, float] = defaultdict(float)
    for call, bound_usd, budget in noted:
        change = ended[call]
        cost_usd = change.cost_usd or 0.0 if change else 0.0
        if budget is not None:
            settled[budget] += cost_usd - (bound_usd or 0.0)
        if change and cost_usd and call in doubles:
            connection.execute(find_statements(connection).note_call, _make_row(change, cost_usd, NOBODY, budget))
    for budget, usd in sorted(settled.items()):
        spent = budgets.c.committed_usd + usd
        connection.execute(update(budgets).where(budgets.c.budget == budget).values(committed_usd=spent))
