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
from engine.settings import RepliesPlace

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

    def __init__(self, place: RepliesPlace) -> None:
        self._place = place
        self._file = place.file
        with _explaining(place):
            self._engine = _make_server_engine(place) if self._file is None else _make_file_engine(self._file)
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
        if self._file is None:
            yield
            return
        with _name_lock(self._file).open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def name_database(place: RepliesPlace) -> str:
    """What messages call it: a path, or a server's address, without a user and a password."""
    if path := place.file:
        return str(path)
    url = make_url(str(place.url))
    return URL.create("postgresql", host=url.host, port=url.port, database=url.database).render_as_string()


def read_rows(place: RepliesPlace, statement: TextClause, **values: object) -> Sequence[Any]:
    """The rows that a statement finds, none where nothing was ever kept. Nothing is made or changed.

    Raises:
        StoreError: the database is there and cannot be read.
    """
    file = place.file
    if file is not None and not file.exists():
        return ()
    with _explaining(place), ExitStack() as opened:
        if file is not None and not _has_log(file) and (lock := _name_lock(file)).exists():
            # Read as it stands: whoever would write to it waits.
            fcntl.flock(opened.enter_context(lock.open("rb")), fcntl.LOCK_SH)
        engine = _make_server_engine(place) if file is None else _open_file(file)
        opened.callback(engine.dispose)
        connection = opened.enter_context(engine.connect())
        return connection.execute(statement, values).all() if inspect(connection).has_table(LAST_TABLE) else ()


def _make_tables(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(MAKING_TABLES)
    for statement in TABLES:
        connection.exec_driver_sql(statement)


@contextmanager
def _explaining(place: RepliesPlace) -> Iterator[None]:
    """Translates SQLAlchemy's errors and the disk's; what is raised tells no secret."""
    try:
        yield
    except (SQLAlchemyError, OSError) as error:
        name, cause = name_database(place), error.orig if isinstance(error, DBAPIError) else error
        told = " ".join(str(cause).split())
        if place.file:
            remedy = (
                "Move it away, and start again: replies that were in it are paid for again"
                if type(cause) is sqlite3.DatabaseError
                else "Free space, or set EXEMPLARS_CACHE_DIR to a folder that can be written, and start again"
            )
            raise StoreError(f"The replies cannot be kept in {name}: {told}. {remedy}") from error
        password = make_url(str(place.url)).password
        told = redact_message(told, [str(password)] if password else [])
        raise StoreError(
            f"The database of kept replies, {name}, cannot be reached or written: {told}. Check that it runs and takes "
            "connections from this machine, and that the user in EXEMPLARS_REPLIES_URL may create, read and write "
            "tables; then start again: what was kept stays, and calls whose replies could not be kept count as spent"
        ) from error


def _open_file(file: Path) -> Engine:
    # Without a log beside it nobody is writing; to read it all the same, SQLite would make one and leave it there.
    query = {"uri": "true", "mode": "ro", **({} if _has_log(file) else {"immutable": "1"})}
    return create_engine(URL.create("sqlite", database=f"file:{quote(str(file.absolute()))}", query=query))


def _has_log(file: Path) -> bool:
    return file.with_name(f"{file.name}-wal").exists()


def _name_lock(file: Path) -> Path:
    return file.with_name(f"{file.name}.lock")


def _make_file_engine(file: Path) -> Engine:
    file.parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(URL.create("sqlite", database=str(file)), hide_parameters=True)

    def prepare(connection: Any, _: object) -> None:
        for pragma in PRAGMAS:
            connection.execute(pragma)

    event.listen(engine, "connect", prepare)
    return engine


def _make_server_engine(place: RepliesPlace) -> Engine:
    url = make_url(str(place.url))
    given = {name: value for name, value in CONNECT_ARGS.items() if name not in url.query}
    return create_engine(url.set(drivername="postgresql+psycopg"), connect_args=given, hide_parameters=True)
