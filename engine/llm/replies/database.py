"""The database of kept replies: a SQLite file below the cache folder, or PostgreSQL by ``EXEMPLARS_REPLIES_URL``."""

import fcntl
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from sqlalchemy import Connection, Engine, TextClause, create_engine, event, inspect, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from engine.errors import StoreError
from engine.llm.client.redaction import redact_message
from engine.llm.replies.tables import LAST_TABLE, TABLES
from engine.settings import SQLITE, DatabaseUrl

T = TypeVar("T")

PRAGMAS = (
    # Set before the first table is created: the file returns the space of deleted rows to the disk.
    "PRAGMA auto_vacuum=FULL",
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA fullfsync=ON",
)
# Options of libpq: without them a connection to a vanished machine blocks for minutes.
CONNECT_ARGS = {
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "tcp_user_timeout": 30_000,
    "application_name": "exemplars",
}
# An arbitrary but unique lock number: two processes that create the tables at once would conflict.
MAKING_TABLES = text("SELECT pg_advisory_xact_lock(7236771)")


class Database:
    """The database, open until ``close``; missing tables are created.

    Raises:
        StoreError: the database cannot be reached or written.
    """

    def __init__(self, place: DatabaseUrl) -> None:
        self._place = place
        with _explaining(place):
            self._engine = _make_engine(_parse_url(place))
        try:
            self.change(_make_tables)
        except BaseException:
            self.close()
            raise

    def change(self, act: Callable[[Connection], T]) -> T:
        """Make a change in one transaction; it is on disk when this returns.

        Raises:
            StoreError: the change failed; if the connection was lost, it may have been made nevertheless.
        """
        with _explaining(self._place), self._locking(), self._engine.begin() as connection:
            return act(connection)

    def read(self, read: Callable[[Connection], T]) -> T:
        """Return the result of a query.

        Raises:
            StoreError: the database cannot be read.
        """
        with _explaining(self._place), self._engine.connect() as connection:
            return read(connection)

    def close(self) -> None:
        """Close the connections; the last connection to a file writes its log into it."""
        with suppress(OSError), self._locking():
            self._engine.dispose()

    @contextmanager
    def _locking(self) -> Iterator[None]:
        """Let one thread of one process at a time write to a file; the kernel releases the lock when a process ends.

        SQLite's own lock would suffice, but before 3.51.3 a commit during another connection's check-point can be lost
        (https://sqlite.org/wal.html#walresetbug).
        """
        if self._engine.name == "postgresql":
            yield
            return
        with _name_lock(self._engine.url).open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def name_database(place: DatabaseUrl) -> str:
    """Return the database's name for messages: a path, or a server's address without user and password."""
    url = _parse_url(place)
    address = URL.create("postgresql", host=url.host, port=url.port, database=url.database)
    return str(url.database if url.drivername == "sqlite" else address)


def read_rows(place: DatabaseUrl, statement: TextClause, **values: object) -> Sequence[Any]:
    """Return the rows of a query, none if the database does not exist. It is neither created nor changed.

    Raises:
        StoreError: the database exists and cannot be read.
    """
    url = _parse_url(place)
    is_file = url.drivername == "sqlite"
    if is_file and not Path(str(url.database)).exists():
        return ()
    with _explaining(place), ExitStack() as opened:
        if is_file and not _has_log(url) and (lock := _name_lock(url)).exists():
            # Read under the lock, so that writers wait.
            fcntl.flock(opened.enter_context(lock.open("rb")), fcntl.LOCK_SH)
        engine = _open_file(url) if is_file else _make_engine(url)
        opened.callback(engine.dispose)
        connection = opened.enter_context(engine.connect())
        return connection.execute(statement, values).all() if inspect(connection).has_table(LAST_TABLE) else ()


def _parse_url(place: DatabaseUrl) -> URL:
    url = place.get_secret_value()
    if url.startswith(SQLITE):
        # A path may contain a % or a ?, which a URL parser would interpret.
        return URL.create("sqlite", database=url.removeprefix(SQLITE))
    return make_url(url).set(drivername="postgresql+psycopg")


def _make_tables(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(MAKING_TABLES)
    for statement in TABLES:
        connection.exec_driver_sql(statement)


@contextmanager
def _explaining(place: DatabaseUrl) -> Iterator[None]:
    """Translate errors of SQLAlchemy and of the disk into errors without secrets."""
    try:
        yield
    except (SQLAlchemyError, OSError) as error:
        url, name = _parse_url(place), name_database(place)
        cause = error.orig if isinstance(error, DBAPIError) else error
        message = " ".join(str(cause).split())
        if url.drivername == "sqlite":
            remedy = (
                "Move it away, and start again: replies that were in it are paid for again"
                if type(cause) is sqlite3.DatabaseError
                else "Free space, or set EXEMPLARS_CACHE_DIR to a folder that can be written, and start again"
            )
            raise StoreError(f"The replies cannot be kept in {name}: {message}. {remedy}") from error
        message = redact_message(message, [str(url.password)] if url.password else [])
        raise StoreError(
            f"The database of kept replies, {name}, cannot be reached or written: {message}. Check that it runs and "
            "takes connections from this machine, and that the user in EXEMPLARS_REPLIES_URL may create, read and "
            "write tables; then start again: kept replies stay, and calls without a kept reply count as spent"
        ) from error


def _open_file(url: URL) -> Engine:
    file = Path(str(url.database))
    # Without a log file next to it nobody is writing; a normal read would create a log and leave it there.
    query = {"uri": "true", "mode": "ro", **({} if _has_log(url) else {"immutable": "1"})}
    return create_engine(URL.create("sqlite", database=f"file:{quote(str(file.absolute()))}", query=query))


def _has_log(url: URL) -> bool:
    return Path(f"{url.database}-wal").exists()


def _name_lock(url: URL) -> Path:
    return Path(f"{url.database}.lock")


def _make_engine(url: URL) -> Engine:
    if url.drivername != "sqlite":
        options = {name: value for name, value in CONNECT_ARGS.items() if name not in url.query}
        return create_engine(url, connect_args=options, hide_parameters=True)

    def prepare(connection: Any, _: object) -> None:
        for pragma in PRAGMAS:
            connection.execute(pragma)

    Path(str(url.database)).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url, hide_parameters=True)
    event.listen(engine, "connect", prepare)
    return engine
