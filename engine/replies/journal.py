"""Records in a plan's database which segments of the store it has, and which of its replies are in none yet."""

import hashlib
import json
import sqlite3
from collections.abc import Collection, Mapping, Sequence

from engine.replies.database import RepliesFile
from engine.replies.segments import Account, Amount, Segment, dump_account, load_account, name_segment, read_token
from engine.replies.tables import STORE, parse_reply


class JournalSegments:
    """The side of one opening's journal that knows of the store.

    A reply is claimed for a segment before that is put, so that of several openings one puts it; the claim of an
    opening that ended without having put it is void.
    """

    def __init__(self, file: RepliesFile, uri: str) -> None:
        self._file = file
        self.token = file.token
        # Of another store than before, nothing is known.
        file.change(lambda connection: _follow_store(connection, uri))

    def settle(self, standing: Mapping[str, int]) -> list[str]:
        """Forgets the segments that are not on the store any more, or not as they were put. Those it has not, in order.

        Args:
            standing: the sizes of the segments on the store, by name.
        """
        live = {token for name in self._list_known() if (token := read_token(name)) and self._file.is_live(token)}
        return self._file.change(lambda connection: _settle(connection, standing, live))

    def take_in(self, name: str, size: int, segment: Segment) -> None:
        """Keeps the replies of a segment; where one of their key is kept already, that one stands."""
        self._file.change(lambda connection: _take_in(connection, name, size, segment))

    def list_unsent(self) -> list[str]:
        """The keys of the replies that nobody has put into a segment."""
        wanted = "SELECT key FROM replies WHERE key NOT IN (SELECT key FROM sent) ORDER BY rowid"
        return self._file.read(lambda connection: [key for [key] in connection.execute(wanted)])

    def claim(self, keys: Sequence[str], number: int) -> tuple[str, dict[str, str]]:
        """Those replies of some keys that are in no segment yet, as JSON, and the name of the one that they are for."""
        return self._file.change(lambda connection: _claim(connection, keys, self.token, number))

    def find_put(self, keys: Collection[str]) -> set[str]:
        """Those of some keys whose replies are on the store, whoever has put them there."""
        return self._file.read(lambda connection: _find_put(connection, keys))

    def confirm(self, name: str, size: int, account: Account) -> None:
        """Notes that a segment of this opening is on the store."""
        row = (name, size, dump_account(account))
        self._file.change(lambda connection: _insert_segment(connection, row))

    def note_opening(self) -> None:
        """Notes that this opening's calls are in this journal, however it ends."""
        insert = "INSERT OR IGNORE INTO openings VALUES (?)"
        self._file.change(lambda connection: connection.execute(insert, (self.token,)))

    def list_openings(self) -> set[str]:
        """The openings whose calls are in this journal."""
        return self._file.read(
            lambda connection: {token for [token] in connection.execute("SELECT token FROM openings")}
        )

    def list_accounts(self) -> dict[str, Account]:
        """What the segments that it has say of calls, by name."""
        wanted = "SELECT name, account FROM segments"
        rows = self._file.read(lambda connection: connection.execute(wanted).fetchall())
        return {name: load_account(account) for name, account in rows}

    def list_closable(self, name: str) -> dict[str, Amount]:
        """What this opening and those of this journal that have ended leave open for good, but for those that are
        closed; none as long as replies are claimed for any segment but this one and not put."""
        claimed = "SELECT 1 FROM sent WHERE segment != ? AND segment NOT IN (SELECT name FROM segments) LIMIT 1"
        if self._file.read(lambda connection: connection.execute(claimed, (name,)).fetchall()):
            return {}
        closed = {token for account in self.list_accounts().values() for token in account.closed}
        ended = [
            token for token in self.list_openings() - closed if token == self.token or not self._file.is_live(token)
        ]
        return self._file.read(lambda connection: {token: _sum_begun(connection, token) for token in ended})

    def _list_known(self) -> set[str]:
        wanted = "SELECT name FROM segments UNION SELECT segment FROM sent"
        return self._file.read(lambda connection: {name for [name] in connection.execute(wanted)})


def _follow_store(connection: sqlite3.Connection, uri: str) -> None:
    if connection.execute("SELECT 1 FROM about WHERE name = ? AND value = ?", (STORE, uri)).fetchone():
        return
    connection.execute("DELETE FROM sent")
    connection.execute("DELETE FROM segments")
    connection.execute("INSERT OR REPLACE INTO about VALUES (?, ?)", (STORE, uri))


def _settle(connection: sqlite3.Connection, standing: Mapping[str, int], live: Collection[str]) -> list[str]:
    known = dict(connection.execute("SELECT name, bytes FROM segments").fetchall())
    named = {name for [name] in connection.execute("SELECT DISTINCT segment FROM sent")}
    for name in named | known.keys():
        is_there = name in standing and standing[name] == known.get(name, standing[name])
        if not is_there and read_token(name) not in live:
            connection.execute("DELETE FROM sent WHERE segment = ?", (name,))
            connection.execute("DELETE FROM segments WHERE name = ?", (name,))
    return [name for name in standing if name not in known]


def _take_in(connection: sqlite3.Connection, name: str, size: int, segment: Segment) -> None:
    for key, reply in segment.replies:
        if not connection.execute("INSERT OR IGNORE INTO replies VALUES (?, ?)", (key, reply)).rowcount:
            _weigh_double(connection, name, key, reply)
        connection.execute("INSERT OR IGNORE INTO sent VALUES (?, ?)", (key, name))
    _insert_segment(connection, (name, size, dump_account(segment.account)))


def _weigh_double(connection: sqlite3.Connection, name: str, key: str, reply: str) -> None:
    """A reply that another machine has paid for once more: it is not used, and its cost counts as lost."""
    [standing] = connection.execute("SELECT CAST(reply AS BLOB) FROM replies WHERE key = ?", (key,)).fetchone()
    fields, other = parse_reply(standing), json.loads(reply)
    if fields is None:
        connection.execute("UPDATE replies SET reply = ? WHERE key = ?", (reply, key))
    elif fields != other and other.get("cost_usd"):
        number = int.from_bytes(hashlib.sha256(f"{name} {key}".encode()).digest()[:8]) >> 2
        connection.execute("INSERT OR IGNORE INTO begun VALUES (?, '', ?)", (number, other["cost_usd"]))


def _claim(connection: sqlite3.Connection, keys: Sequence[str], token: str, number: int) -> tuple[str, dict[str, str]]:
    claimed = {}
    wanted = "SELECT CAST(reply AS BLOB) FROM replies WHERE key = ? AND NOT EXISTS (SELECT 1 FROM sent WHERE key = ?)"
    for key in keys:
        row = connection.execute(wanted, (key, key)).fetchone()
        if row and (fields := parse_reply(row[0])):
            claimed[key] = json.dumps(fields, ensure_ascii=False)
    name = name_segment(token, number, len(claimed))
    connection.executemany("INSERT INTO sent VALUES (?, ?)", ((key, name) for key in claimed))
    return name, claimed


def _find_put(connection: sqlite3.Connection, keys: Collection[str]) -> set[str]:
    wanted = "SELECT 1 FROM sent JOIN segments ON segments.name = sent.segment WHERE sent.key = ?"
    return {key for key in keys if connection.execute(wanted, (key,)).fetchone()}


def _insert_segment(connection: sqlite3.Connection, row: tuple[str, int, str]) -> None:
    connection.execute("INSERT OR REPLACE INTO segments VALUES (?, ?, ?)", row)


def _sum_begun(connection: sqlite3.Connection, token: str) -> Amount:
    wanted = "SELECT count(*), total(bound_usd) FROM begun WHERE owner = ? AND bound_usd > 0"
    return Amount(*connection.execute(wanted, (token,)).fetchone())
