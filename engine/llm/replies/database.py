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
    # Before the first table. A file gives the space of what was deleted back to the disk.
    "PRAGMA auto_vacuum=FULL",
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA fullfsync=ON",
)
# libpq's: else a machine that has vanished is waited for for minutes.
CONNECT_ARGS = {
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "tcp_user_timeout": 30_000,
    "application_name": "exemplars",
}
# Any number that nobody else locks by: two who make the tables at once would be in each other's way.
MAKING_TABLES = text("SELECT pg_advisory_xact_lock(7236771)")


class Database:
    """The database, open until ``close``; its tables are made where they are missing.

    Raises:
        StoreError: it cannot be reached or written.
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
        """Does all of something or none of it; it is on disk when this returns.

        Raises:
            StoreError: it cannot be done; a database that went away may have done it.
        """
        with _explaining(self._place), self._locking(), self._engine.begin() as connection:
            return act(connection)

    def read(self, read: Callable[[Connection], T]) -> T:
        """What is read of the database.

        Raises:
            StoreError: it cannot be read.
        """
        with _explaining(self._place), self._engine.connect() as connection:
            return read(connection)

    def close(self) -> None:
        """Closes the connections; the last one to a file writes its log into it."""
        with suppress(OSError), self._locking():
            self._engine.dispose()

    @contextmanager
    def _locking(self) -> Iterator[None]:
        """Lets one thread of one process at a time write to a file; the kernel's lock ends with its process.

        SQLite's own lock would do, but before 3.51.3 a commit can be lost that meets another connection's check-point
        (https://sqlite.org/wal.html#walresetbug).
        """
        if self._engine.name == "postgresql":
            yield
            return
        with _name_lock(self._engine.url).open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def name_database(place: DatabaseUrl) -> str:
    """What messages call it: a path, or a server's address, without a user and a password."""
    url = _parse_url(place)
    told = URL.create("postgresql", host=url.host, port=url.port, database=url.database)
    return str(url.database if url.drivername == "sqlite" else told)


def read_rows(place: DatabaseUrl, statement: TextClause, **values: object) -> Sequence[Any]:
    """The rows that a statement finds, none where nothing was ever kept. Nothing is made or changed.

    Raises:
        StoreError: the database is there and cannot be read.
    """
    url = _parse_url(place)
    is_file = url.drivername == "sqlite"
    if is_file and not Path(str(url.database)).exists():
        return ()
    with _explaining(place), ExitStack() as opened:
        if is_file and not _has_log(url) and (lock := _name_lock(url)).exists():
            # Read as it stands: whoever would write to it waits.
            fcntl.flock(opened.enter_context(lock.open("rb")), fcntl.LOCK_SH)
        engine = _open_file(url) if is_file else _make_engine(url)
        opened.callback(engine.dispose)
        connection = opened.enter_context(engine.connect())
        return connection.execute(statement, values).all() if inspect(connection).has_table(LAST_TABLE) else ()


def _parse_url(place: DatabaseUrl) -> URL:
    url = place.get_secret_value()
    if url.startswith(SQLITE):
        # A path may have a % or a ? in it.
        return URL.create("sqlite", database=url.removeprefix(SQLITE))
    return make_url(url).set(drivername="postgresql+psycopg")


def _make_tables(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(MAKING_TABLES)
    for statement in TABLES:
        connection.exec_driver_sql(statement)


@contextmanager
def _explaining(place: DatabaseUrl) -> Iterator[None]:
    """Translates SQLAlchemy's errors and the disk's; what is raised tells no secret."""
    try:
        yield
    except (SQLAlchemyError, OSError) as error:
        url, name = _parse_url(place), name_database(place)
        cause = error.orig if isinstance(error, DBAPIError) else error
        told = " ".join(str(cause).split())
        if url.drivername == "sqlite":
            remedy = (
                "Move it away, and start again: replies that were in it are paid for again"
                if type(cause) is sqlite3.DatabaseError
                else "Free space, or set EXEMPLARS_CACHE_DIR to a folder that can be written, and start again"
            )
            raise StoreError(f"The replies cannot be kept in {name}: {told}. {remedy}") from error
        told = redact_message(told, [str(url.password)] if url.password else [])
        raise StoreError(
            f"The database of kept replies, {name}, cannot be reached or written: {told}. Check that it runs and takes "
            "connections from this machine, and that the user in EXEMPLARS_REPLIES_URL may create, read and write "
            "tables; then start again: what was kept stays, and calls whose replies could not be kept count as spent"
        ) from error


def _open_file(url: URL) -> Engine:
    file = Path(str(url.database))
    # Without a log beside it nobody is writing; to read it all the same, SQLite would make one and leave it there.
    query = {"uri": "true", "mode": "ro", **({} if _has_log(url) else {"immutable": "1"})}
    return create_engine(URL.create("sqlite", database=f"file:{quote(str(file.absolute()))}", query=query))


def _has_log(url: URL) -> bool:
    return Path(f"{url.database}-wal").exists()


def _name_lock(url: URL) -> Path:
    return Path(f"{url.database}.lock")


def _make_engine(url: URL) -> Engine:
    if url.drivername != "sqlite":
        given = {name: value for name, value in CONNECT_ARGS.items() if name not in url.query}
        return create_engine(url, connect_args=given, hide_parameters=True)

    def prepare(connection: Any, _: object) -> None:
        for pragma in PRAGMAS:
            connection.execute(pragma)

    Path(str(url.database)).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url, hide_parameters=True)
    event.listen(engine, "connect", prepare)
    return engine
