"""Repairs a damaged database of kept replies: moves what can still be read to a new file."""

import sqlite3
from contextlib import suppress
from pathlib import Path

from engine.replies.row_salvage import FILE_HEADER, read_rows
from engine.replies.tables import HANDLE, SHARED_TABLES, connect, name_log, parse_reply, transaction

# What SQLite says of a file that it cannot make sense of; all else is the fault of the disk, or of another process.
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def is_damage(error: sqlite3.Error) -> bool:
    """Whether an error says that the file is not as SQLite left it."""
    code = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF in _DAMAGED or code == sqlite3.SQLITE_IOERR_SHORT_READ


def lacks_database(path: Path) -> bool:
    """Whether there is a log, and no database or one without its header: SQLite would throw the log away."""
    log = name_log(path)
    return log.exists() and log.stat().st_size > 0 and not (path.exists() and path.stat().st_size >= FILE_HEADER)


def write_healed(path: Path) -> int:
    """Writes what can be read of a damaged file to one beside it; how many replies that are."""
    unfinished = path.with_name(f"{path.name}.healing")
    unfinished.unlink(missing_ok=True)
    connection = connect(unfinished)
    try:
        for statement in SHARED_TABLES:
            connection.execute(statement)
        with transaction(connection, durable=True):
            for rowid, values in read_rows(path, name_log(path)):
                _carry_over(connection, rowid, values)
        [[saved]] = connection.execute("SELECT count(*) FROM replies").fetchall()
    finally:
        connection.close()
    unfinished.replace(_name_healed(path))
    return int(saved)


def put_healed_in_place(path: Path) -> Path | None:
    """Gives the healed file, if there is one, the name; the damaged one and its log get other names, told here.

    A process that dies in between leaves the healed file to the next one, which does what is left to be done.
    """
    healed = _name_healed(path)
    if not healed.exists():
        return None
    aside = next(
        name
        for number in range(1, 1_000_000)
        if not (name := path.with_name(f"{path.name}.broken-{number}")).exists() and not name_log(name).exists()
    )
    for old, new in ((path, aside), (name_log(path), name_log(aside))):
        with suppress(FileNotFoundError):
            old.rename(new)
    path.with_name(f"{path.name}-shm").unlink(missing_ok=True)
    healed.rename(path)
    return aside


def _carry_over(connection: sqlite3.Connection, rowid: int, values: tuple[object, ...]) -> None:
    """A row goes to the table that it is shaped for."""
    match values:
        case (str(), str(reply)) if parse_reply(reply) is not None:
            connection.execute("INSERT OR IGNORE INTO replies VALUES (?, ?)", values)
        case (str(name), str()) if name == HANDLE:
            connection.execute("INSERT OR IGNORE INTO about VALUES (?, ?)", values)
        case (str(token),):
            connection.execute("INSERT OR IGNORE INTO openings VALUES (?)", (token,))
        case (None, str(owner), (float() | int() | None) as bound_usd):
            connection.execute("INSERT OR IGNORE INTO begun VALUES (?, ?, ?)", (rowid, owner, bound_usd))


def _name_healed(path: Path) -> Path:
    return path.with_name(f"{path.name}.healed")
