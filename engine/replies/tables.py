"""The tables of a database of kept replies, and what its readers and writers have in common."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

REPLIES = "replies.sqlite"
TABLES = (
    "CREATE TABLE IF NOT EXISTS replies (key TEXT PRIMARY KEY, reply TEXT NOT NULL)",
    # A call whose opening has ended has no owner any more.
    "CREATE TABLE IF NOT EXISTS begun (number INTEGER PRIMARY KEY, owner TEXT NOT NULL, bound_usd REAL)",
    "CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
)
# What a journal knows of the store that its replies are on too. ``sent`` has the segment of each, also of one that is
# not there yet; ``segments`` those that are, with what they say of calls; ``openings`` those that may cost something.
SHARED_TABLES = (
    *TABLES,
    "CREATE TABLE IF NOT EXISTS sent (key TEXT PRIMARY KEY, segment TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS segments (name TEXT PRIMARY KEY, bytes INTEGER NOT NULL, account TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS openings (token TEXT PRIMARY KEY)",
)
# What ``about`` knows: whose replies these are, and on which store they are too.
HANDLE, STORE = "handle", "store"
BUSY_SECONDS = 30


def connect(path: Path) -> sqlite3.Connection:
    """A connection that any thread may use, one at a time."""
    return sqlite3.connect(path, timeout=BUSY_SECONDS, check_same_thread=False, isolation_level=None)


@contextmanager
def transaction(connection: sqlite3.Connection, durable: bool) -> Iterator[sqlite3.Connection]:
    """A transaction; one that is durable is synced to the disk."""
    connection.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
        raise


def parse_reply(reply: str | bytes) -> dict[str, Any] | None:
    """The fields of a reply; None where it cannot be read."""
    try:
        fields = json.loads(reply)
    except ValueError:
        return None
    whole = isinstance(fields, dict) and all(isinstance(fields.get(name), str) for name in ("text", "finish"))
    return fields if whole else None


def name_log(path: Path) -> Path:
    """The write-ahead log of a file."""
    return path.with_name(f"{path.name}-wal")
