"""The database of a plan's kept replies: SQLite with a write-ahead log, written in groups, repaired if damaged."""

import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from engine.errors import StoreError
from engine.replies.plan_folder import PlanFolder
from engine.replies.repair import is_damage, lacks_database, put_healed_in_place, write_healed
from engine.replies.tables import BUSY_SECONDS, HANDLE, REPLIES, TABLES, connect, name_log, parse_reply, transaction

_log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Begun:
    """A call is about to be made and may cost so much; None where that is not known."""

    number: int
    bound_usd: float | None


@dataclass(frozen=True, slots=True)
class Dropped:
    """A call that had begun came to nothing."""

    number: int


@dataclass(frozen=True, slots=True)
class Kept:
    """A reply came; ``begun`` is the number of its call, where that was noted."""

    key: str
    reply: str
    begun: int | None


Change = Begun | Dropped | Kept


class RepliesFile:
    """``<plan>/replies.sqlite``, open until ``close``; any number of processes may have it open.

    Whatever fails is a ``StoreError``.
    """

    def __init__(self, folder: Path, handle: str = "", tables: Sequence[str] = TABLES) -> None:
        self.path = folder / REPLIES
        self._tables = tables
        self._reading = threading.Lock()
        self._connections: tuple[sqlite3.Connection, ...] = ()
        self._opened: os.stat_result | None = None
        with self._translate():
            self._folder = PlanFolder(folder)
            try:
                with self._folder.turn():
                    self._mend(lambda: self._commit(lambda connection: _note_handle(connection, handle), durable=False))
                    self._folder.sweep()
            except BaseException:
                self.close()
                raise

    @property
    def token(self) -> str:
        """Tells this opening from all others."""
        return self._folder.token

    def is_live(self, token: str) -> bool:
        """Whether that opening, of this folder, has not ended."""
        return self._folder.is_live(token)

    def find(self, key: str) -> dict[str, Any] | None:
        """The fields of the reply that is kept under a key, if one is and can be read."""
        return self.read(lambda connection: _find(connection, key))

    def sum_costs(self) -> float:
        """What all kept replies cost together in USD, without those of which no price was known."""
        return self.read(_sum_costs)

    def find_lost(self) -> tuple[int, float, int]:
        """The calls that began and whose opening has ended: how many, the sum of their bounds, how many have none."""
        counted = "SELECT owner, count(*), total(bound_usd), count(*) - count(bound_usd) FROM begun GROUP BY owner"
        rows = self.read(lambda connection: connection.execute(counted).fetchall())
        lost = [amounts for owner, *amounts in rows if not owner or not self.is_live(owner)]
        calls, bound_usd, unpriced = (sum(part) for part in zip((0, 0.0, 0), *lost, strict=True))
        return calls, bound_usd, unpriced

    def write(self, changes: Sequence[Change]) -> list[dict[str, Any] | None]:
        """Makes changes all or none; on disk when it returns, if a reply is among them, else safe from kill -9.

        For each ``Kept`` the fields of the reply that stands in its place: the first of its key; None where it is new.
        """
        durable = any(isinstance(change, Kept) for change in changes)
        return self.change(lambda connection: [_apply(connection, item, self.token) for item in changes], durable)

    def change(self, act: Callable[[sqlite3.Connection], T], durable: bool = False) -> T:
        """Does all of something or none of it, in a turn; on disk when this returns, or else safe from kill -9."""
        with self._translate(), self._folder.turn():
            return self._mend(lambda: self._commit(act, durable))

    def read(self, read: Callable[[sqlite3.Connection], T]) -> T:
        """Reads as things are; where that comes upon damage, once more in a turn."""
        with self._translate():
            try:
                return self._read_once(read)
            except sqlite3.DatabaseError as error:
                if not is_damage(error):
                    raise
            with self._folder.turn():
                return self._mend(lambda: self._read_once(read))

    def close(self) -> None:
        """Closes the file; what was kept stays."""
        with suppress(OSError), self._folder.turn():
            self._disconnect()
        self._disconnect()
        self._folder.leave()

    def _read_once(self, read: Callable[[sqlite3.Connection], T]) -> T:
        with self._reading:
            if not self._connections:
                raise sqlite3.ProgrammingError("it is closed")
            return read(self._connections[0])

    def _commit(self, act: Callable[[sqlite3.Connection], T], durable: bool) -> T:
        with transaction(self._connections[1], durable) as connection:
            return act(connection)

    def _mend(self, act: Callable[[], T]) -> T:
        """Does something with the file in a turn; once more with a healed one where it turns out to be damaged."""
        try:
            self._follow()
            return act()
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
            self._heal(str(error))
            self._follow()
            return act()

    def _follow(self) -> None:
        """Opens the file that has the name now: another process may have healed it since."""
        with suppress(FileNotFoundError):
            if self._opened and self._connections and os.path.samestat(self._opened, self.path.stat()):
                return
        self._disconnect()
        put_healed_in_place(self.path)
        if lacks_database(self.path):
            self._heal("its log is there and it is not")
        # The one reads, from any thread; the other writes, in a turn.
        self._connections = tuple(connect(self.path) for _ in range(2))
        for statement in ("PRAGMA journal_mode=WAL", "PRAGMA fullfsync=ON", *self._tables):
            self._connections[1].execute(statement)
        self._opened = self.path.stat()

    def _heal(self, why: str) -> None:
        """Carries over what can be read to a new file and sets the damaged one aside."""
        saved = write_healed(self.path)
        aside = put_healed_in_place(self.path)
        # Not before: SQLite would write to a file that still has its name.
        self._disconnect()
        _log.warning("%s was damaged (%s): %d replies in it are saved; it is now %s", self.path, why, saved, aside)

    def _disconnect(self) -> None:
        with self._reading:
            for connection in self._connections:
                connection.close()
            self._connections = ()

    @contextmanager
    def _translate(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise StoreError(
                f"The replies cannot be kept in {self.path}: {error}. Free space, or set EXEMPLARS_CACHE_DIR to a "
                "folder that can be written. The replies that are kept already stay"
            ) from error


def read_plan_summary(folder: Path) -> tuple[str | None, int]:
    """The handle of a plan, None where it does not say, and how many replies are kept; it is left as it is.

    Raises:
        sqlite3.Error: it cannot be read.
    """
    path = (folder / REPLIES).absolute()
    # Where there is no log nobody writes, and SQLite need not make one to read.
    how = "mode=ro" if name_log(path).exists() else "immutable=1"
    connection = sqlite3.connect(f"{path.as_uri()}?{how}", uri=True, timeout=BUSY_SECONDS)
    try:
        [[count]] = connection.execute("SELECT count(*) FROM replies").fetchall()
        if not connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'about'").fetchall():
            return None, count
        found = connection.execute("SELECT value FROM about WHERE name = ?", (HANDLE,)).fetchone()
        return found[0] if found else None, count
    finally:
        connection.close()


def _note_handle(connection: sqlite3.Connection, handle: str) -> None:
    if handle:
        connection.execute("INSERT OR IGNORE INTO about VALUES (?, ?)", (HANDLE, handle))


def _apply(connection: sqlite3.Connection, change: Change, owner: str) -> dict[str, Any] | None:
    if isinstance(change, Begun):
        connection.execute("INSERT INTO begun VALUES (?, ?, ?)", (change.number, owner, change.bound_usd))
        return None
    if isinstance(change, Dropped):
        connection.execute("DELETE FROM begun WHERE number = ?", (change.number,))
        return None
    if change.begun is not None:
        connection.execute("DELETE FROM begun WHERE number = ?", (change.begun,))
    if connection.execute("INSERT OR IGNORE INTO replies VALUES (?, ?)", (change.key, change.reply)).rowcount:
        return None
    standing = _find(connection, change.key)
    if standing is None:
        connection.execute("UPDATE replies SET reply = ? WHERE key = ?", (change.reply, change.key))
    return standing


def _find(connection: sqlite3.Connection, key: str) -> dict[str, Any] | None:
    row = connection.execute("SELECT CAST(reply AS BLOB) FROM replies WHERE key = ?", (key,)).fetchone()
    return parse_reply(row[0]) if row else None


def _sum_costs(connection: sqlite3.Connection) -> float:
    summed = "SELECT total(max(0, json_extract(reply, '$.cost_usd'))) FROM replies WHERE json_valid(reply)"
    [[total]] = connection.execute(summed).fetchall()
    return float(total)
