"""The statements of each call, made once for SQLite and PostgreSQL: making them anew costs more than running them."""

from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import Connection, Executable, Table, bindparam, delete, func, select
from sqlalchemy.dialects import postgresql, sqlite

from engine.llm.replies.tables import Clock, calls, openings, plans, replies


@dataclass(frozen=True, slots=True)
class Statements:
    """Each takes the columns of its table by name.

    ``end_calls`` takes ``ended``, numbers of calls, and returns those that were noted with bound and budget;
    ``keep_reply`` returns plan and key of a reply that is the first of its key; ``touch_plan`` counts the plan's
    replies.
    """

    note_call: Executable
    end_calls: Executable
    keep_reply: Executable
    touch_plan: Executable
    beat: Executable


def insert_into(dialect: str, table: Table) -> Any:
    """An INSERT that may say what happens on a conflict."""
    return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)


def find_statements(connection: Connection) -> Statements:
    """Those of the connection's database."""
    return _make(connection.dialect.name)


@cache
def _make(dialect: str) -> Statements:
    ended = calls.c.call.in_(bindparam("ended", expanding=True))
    keeping = insert_into(dialect, replies).on_conflict_do_nothing()
    mine = replies.c.plan_id == bindparam("plan_id")
    touching = insert_into(dialect, plans).values(
        plan_id=bindparam("plan_id"),
        handle=bindparam("handle"),
        used_at=Clock(),
        replies=select(func.count()).where(mine).scalar_subquery(),
        bytes=select(func.coalesce(func.sum(replies.c.bytes), 0)).where(mine).scalar_subquery(),
    )
    touched = {name: touching.excluded[name] for name in ("used_at", "replies", "bytes")}
    touched["handle"] = func.coalesce(plans.c.handle, touching.excluded.handle)
    beating = insert_into(dialect, openings).values(
        opening=bindparam("opening"), plan_id=bindparam("plan_id"), beat_at=Clock()
    )
    return Statements(
        note_call=insert_into(dialect, calls).on_conflict_do_nothing(),
        end_calls=delete(calls).where(ended).returning(calls.c.call, calls.c.bound_usd, calls.c.budget),
        keep_reply=keeping.returning(replies.c.plan_id, replies.c.key),
        touch_plan=touching.on_conflict_do_update(index_elements=[plans.c.plan_id], set_=touched),
        beat=beating.on_conflict_do_update(index_elements=[openings.c.opening], set_={"beat_at": Clock()}),
    )
