"""The database of kept replies: a SQLite file below the cache folder, or PostgreSQL by ``EXEMPLARS_REPLIES_URL``."""

import logging
import math
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection, Engine, NullPool, QueuePool, create_engine, event, func, inspect, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, InternalError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from engine.errors import StoreAwayError, StoreError
from engine.llm.client.redaction import redact_message
from engine.llm.replies.sqlite_file import SqliteFile, connect_to_read, is_damage
from engine.llm.replies.statements import insert_into
from engine.llm.replies.tables import SCHEMA, metadata, schema
from engine.settings import SQLITE, RepliesPlace

_log = logging.getLogger(__name__)
T = TypeVar("T")

FILE = "replies.sqlite"
# One writes, one opens plans.
CONNECTIONS = 2
# A server that says nothing for so long is away, or as long as the patience lasts; libpq takes no less than the least.
SILENT_SECONDS, LEAST_SILENT_SECONDS = 10.0, 2.0
# libpq's: else a machine that has vanished is waited for for minutes.
CONNECT_ARGS = {
    "keepalives_idle": 30,
    "tcp_user_timeout": 30_000,
    "application_name": "exemplars",
}
# Any number that nobody else locks by: two who make the tables at once would be in each other's way.
MAKING_TABLES = 7_236_771


class Database:
    """The database, open until ``close``; its tables are made where they are missing.

    Raises:
        StoreAwayError: it cannot be reached. StoreError: it cannot be written, or a newer version has made it.
    """

    def __init__(self, place: RepliesPlace) -> None:
        self.name = name_database(place)
        self._file: SqliteFile | None = None
        self._is_prepared = False
        self._url = None if place.url is None else make_url(place.url)
        path = find_file(place)
        with self._translate():
            self._file = None if path is None else SqliteFile(path)
            self._engine = _make_file_engine(self._file) if self._file else _make_server_engine(place)
        try:
            self.change(lambda _: None)
        except BaseException:
            self.close()
            raise

    def change(self, act: Callable[[Connection], T]) -> T:
        """Does all of something or none of it; it is on disk when this returns.

        A SQLite file that turns out to be damaged is set aside, and it is done in a new one.

        Raises:
            StoreAwayError: the database went away, perhaps after it was done. StoreError: it cannot be done.
        """
        with self._translate():
            if self._file is None:
                return self._transact(act)
            with self._file.lock():
                if self._file.has_changed():
                    self._reconnect()
                try:
                    return self._transact(act)
                except DBAPIError as error:
                    if not is_damage(error.orig):
                        raise
                    self._set_aside(self._file, str(error.orig))
                    return self._transact(act)

    def shrink(self) -> None:
        """Gives the space of what was deleted back to the disk, where the database is a file."""
        if self._file is not None:
            with self._translate(), self._file.lock(), self._engine.connect() as connection:
                raw = connection.connection.driver_connection
                assert isinstance(raw, sqlite3.Connection)
                for pragma in ("PRAGMA incremental_vacuum", "PRAGMA wal_checkpoint(TRUNCATE)"):
                    raw.execute(pragma).fetchall()

    def close(self) -> None:
        """Closes the connections."""
        if self._file is None:
            self._engine.dispose()
            return
        # Closing the last connection is a check-point.
        with suppress(OSError), self._file.lock():
            self._engine.dispose()
        self._engine.dispose()
        self._file.close()

    def _transact(self, act: Callable[[Connection], T]) -> T:
        with self._engine.begin() as connection:
            if not self._is_prepared:
                prepare_tables(connection, self.name)
            done = act(connection)
        self._is_prepared = True
        return done

    def _reconnect(self) -> None:
        """Lets go of a file that is no longer the one of its name: another process has set it aside."""
        self._engine.dispose()
        self._is_prepared = False
        if self._file:
            self._file.forget()

    def _set_aside(self, file: SqliteFile, why: str) -> None:
        # In this order: a connection that is closed changes a file that still has its name.
        aside = file.set_aside()
        self._reconnect()
        _log.warning(
            "%s was damaged (%s). It is now %s, and a new one is begun: replies that were in it are paid for again",
            file.path,
            why,
            aside,
        )

    @contextmanager
    def _translate(self) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, sqlite3.Error, OSError) as error:
            raise explain(error, self.name, self._url) from error


def find_file(place: RepliesPlace) -> Path | None:
    """The path of a SQLite file; None where the database is a server's."""
    if place.url is None:
        return Path(place.cache_dir) / FILE
    return Path(place.url.removeprefix(SQLITE)) if place.url.startswith(SQLITE) else None


def name_database(place: RepliesPlace) -> str:
    """What messages call it: a path, or a server's address, without a user and a password."""
    if path := find_file(place):
        return str(path)
    url = make_url(str(place.url))
    # A socket's folder is a parameter.
    host = url.host or str(url.query.get("host", ""))
    return f"postgresql://{f'[{host}]' if ':' in host else host}{f':{url.port}' if url.port else ''}/{url.database}"


def read_database(place: RepliesPlace, read: Callable[[Connection], T], nothing: T) -> T:
    """What is read of the database, or ``nothing`` where there is none as yet; it is left as it is.

    Raises:
        StoreError: it is there and cannot be read.
    """
    url, path = None if place.url is None else make_url(place.url), find_file(place)
    try:
        if path is None:
            engine = _make_server_engine(place)
        else:
            path.stat()
            engine = create_engine("sqlite://", creator=lambda: connect_to_read(path), poolclass=NullPool)
        try:
            with engine.connect() as connection:
                if not inspect(connection).has_table(schema.name):
                    return nothing
                return read(connection)
        finally:
            engine.dispose()
    except FileNotFoundError:
        return nothing
    except (SQLAlchemyError, sqlite3.Error, OSError) as error:
        raise explain(error, name_database(place), url) from error


def prepare_tables(connection: Connection, name: str) -> None:
    """Makes the tables where they are missing.

    Raises:
        StoreError: a newer version has made them.
    """
    if not inspect(connection).has_table(schema.name):
        if connection.dialect.name == "postgresql":
            connection.execute(select(func.pg_advisory_xact_lock(MAKING_TABLES)))
        metadata.create_all(connection)
        connection.execute(insert_into(connection.dialect.name, schema).values(number=SCHEMA).on_conflict_do_nothing())
    number = connection.scalar(select(func.max(schema.c.number)))
    if number is not None and number > SCHEMA:
        raise StoreError(
            f"The kept replies in {name} are of a newer version of Exemplars (schema {number}; this one knows {SCHEMA}"
            "). Use that version, or keep replies elsewhere: EXEMPLARS_CACHE_DIR, EXEMPLARS_REPLIES_URL"
        )


def explain(error: Exception, name: str, url: URL | None) -> StoreError:
    """The error to be raised for one of SQLAlchemy's, of SQLite's, or of the disk; it tells no secret."""
    told = " ".join(str(getattr(error, "orig", None) or error).split())
    if url is None or url.get_backend_name() == "sqlite":
        return StoreError(
            f"The replies cannot be kept in {name}: {told}. Free space, or set EXEMPLARS_CACHE_DIR to a folder that "
            "can be written. The replies that are kept already stay"
        )
    told = redact_message(told, [url.password] if url.password else [])
    if isinstance(error, OperationalError | InterfaceError | InternalError | PoolTimeoutError):
        return StoreAwayError(
            f"The database of kept replies, {name}, cannot be reached: {told}. Check that it runs and takes "
            "connections from this machine, and the user and password in EXEMPLARS_REPLIES_URL"
        )
    return StoreError(
        f"The replies cannot be kept in {name}: {told}. Its user in EXEMPLARS_REPLIES_URL must be allowed to create, "
        "read and write tables there"
    )


def _make_file_engine(file: SqliteFile) -> Engine:
    # All that uses it is inside the file's lock.
    engine = create_engine(
        "sqlite://", creator=file.connect, poolclass=QueuePool, pool_size=1, max_overflow=0, hide_parameters=True
    )
    event.listen(engine, "begin", lambda connection: connection.connection.driver_connection.execute("BEGIN"))
    return engine


def _make_server_engine(place: RepliesPlace) -> Engine:
    url = make_url(str(place.url))
    silent_seconds = max(LEAST_SILENT_SECONDS, min(SILENT_SECONDS, place.patience_seconds))
    connecting = {"connect_timeout": math.ceil(silent_seconds), **CONNECT_ARGS}
    given = {name: value for name, value in connecting.items() if name not in url.query}
    engine = create_engine(
        url.set(drivername="postgresql+psycopg"),
        connect_args=given,
        pool_size=CONNECTIONS,
        max_overflow=0,
        hide_parameters=True,
    )
    # It takes a sixth of a second to import, and a file needs none.
    from engine.llm.replies.postgresql import connect

    event.listen(engine, "do_connect", lambda _, __, ___, arguments: connect(silent_seconds, arguments))
    return engine
