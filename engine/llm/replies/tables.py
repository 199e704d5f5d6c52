"""The tables of the database of kept replies, the same on SQLite and PostgreSQL."""

from typing import Any

from sqlalchemy import BigInteger, Column, Double, Index, Integer, MetaData, Table, Text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

# Raised by whoever changes a table; a database of a higher number is left alone.
SCHEMA = 1

metadata = MetaData()
schema = Table("exemplars_schema", metadata, Column("number", Integer, primary_key=True, autoincrement=False))
# ``replies`` and ``bytes`` are as of ``used_at``, noted every 20 s while a plan is open: listing and pruning count
# nothing.
plans = Table(
    "exemplars_plans",
    metadata,
    Column("plan_id", Text, primary_key=True),
    Column("handle", Text),
    Column("used_at", Double, nullable=False),
    Column("replies", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
)
# Who has a plan open. An opening says every few seconds that it lives: ``beat_at``.
openings = Table(
    "exemplars_openings",
    metadata,
    Column("opening", Text, primary_key=True),
    Column("plan_id", Text, nullable=False),
    Column("beat_at", Double, nullable=False),
)
replies = Table(
    "exemplars_replies",
    metadata,
    Column("plan_id", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("reply", Text, nullable=False),
    Column("cost_usd", Double),
    Column("bytes", Integer, nullable=False),
)
# A plan's replies are counted without reading them.
Index("exemplars_replies_bytes", replies.c.plan_id, replies.c.bytes)
# Calls that have begun and of which no reply is kept; once its opening has ended, a call stays here for good.
calls = Table(
    "exemplars_calls",
    metadata,
    # SQLite has no second index for a key of this very type.
    Column("call", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("plan_id", Text, nullable=False),
    Column("opening", Text, nullable=False),
    Column("bound_usd", Double),
    Column("budget", Text),
)
# What several processes spend together: ``committed_usd`` is what is spent and what calls in flight may cost.
budgets = Table(
    "exemplars_budgets",
    metadata,
    Column("budget", Text, primary_key=True),
    Column("committed_usd", Double, nullable=False),
    Column("used_at", Double, nullable=False),
)


class Clock(FunctionElement[float]):
    """The database's own clock, in seconds since the epoch: machines that share a database need not agree on theirs."""

    type = Double()
    inherit_cache = True


@compiles(Clock, "sqlite")
def _read_sqlite_clock(_: Clock, __: SQLCompiler, **___: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(Clock, "postgresql")
def _read_postgresql_clock(_: Clock, __: SQLCompiler, **___: Any) -> str:
    return "extract(epoch FROM clock_timestamp())::double precision"
