"""What SQLite needs and PostgreSQL does itself: a lock around each change, and a damaged file set aside."""

import errno
import fcntl
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# A change takes milliseconds: who waits longer waits for a process that was stopped.
LOCK_SECONDS = 30.0
POLL_SECONDS = 0.001
# What SQLite says of a file that it cannot make sense of; all else is the fault of the disk, or of another process.
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_PRAGMAS = (
    # Before the first table: else no space is given back.
    "PRAGMA auto_vacuum=INCREMENTAL",
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA fullfsync=ON",
)


class SqliteFile:
    """The file of a database, and the lock beside it.

    The lock is the kernel's (``flock``) and ends with its process, however that ends. SQLite's own would do, but before
    3.51.3 a commit can be lost that meets another connection's check-point (https://sqlite.org/wal.html#walresetbug).

    Raises:
        OSError: the folder cannot be made, or takes no files.
    """

    def __init__(self, path: Path, lock_seconds: float = LOCK_SECONDS) -> None:
        self.path = path
        self._lock_seconds = lock_seconds
        self._threads = threading.Lock()
        self._opened: os.stat_result | None = None
        _make_folder(path.parent)
        self._lock_path = path.with_name(f"{path.name}.lock")
        self._lock = os.open(self._lock_path, os.O_RDWR | os.O_CREAT, 0o666)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Inside is one thread of one process at a time.

        Raises:
            TimeoutError: another stays inside. FileNotFoundError: the file has been removed.
        """
        with self._threads:
            self._wait()
            try:
                if not _is_at(os.fstat(self._lock), self._lock_path):
                    raise FileNotFoundError(errno.ENOENT, "it was removed while it was in use")
                yield
            finally:
                fcntl.flock(self._lock, fcntl.LOCK_UN)

    def connect(self) -> sqlite3.Connection:
        """A connection that any thread may use, one at a time; its transactions are SQLAlchemy's."""
        connection = sqlite3.connect(
            self.path, timeout=self._lock_seconds, isolation_level=None, check_same_thread=False
        )
        # A byte that is not UTF-8 spoils its reply, and not the reading of all others.
        connection.text_factory = lambda content: content.decode(errors="surrogateescape")
        for pragma in _PRAGMAS:
            connection.execute(pragma)
        self._opened = self._opened or self.path.stat()
        return connection

    def has_changed(self) -> bool:
        """Whether the file that was opened is no longer the one of its name; asked inside the lock.

        Raises:
            FileNotFoundError: it has been removed.
        """
        if self._opened is None or _is_at(self._opened, self.path):
            return False
        if not self.path.exists():
            raise FileNotFoundError(errno.ENOENT, "it was removed while it was in use")
        return True

    def forget(self) -> None:
        """Forgets the file that was opened: the next connection is to the one of its name."""
        self._opened = None

    def set_aside(self) -> Path:
        """Gives a damaged file, and its log, a name that is free, inside the lock; returns that."""
        number = 1
        while (aside := self.path.with_name(f"{self.path.name}.broken-{number}")).exists():
            number += 1
        for suffix in ("-shm", "-wal", ""):
            with suppress(FileNotFoundError):
                self.path.with_name(f"{self.path.name}{suffix}").rename(f"{aside}{suffix}")
        return aside

    def close(self) -> None:
        """Gives the lock back."""
        os.close(self._lock)

    def _wait(self) -> None:
        end = time.monotonic() + self._lock_seconds
        while True:
            try:
                return fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= end:
                    raise TimeoutError(errno.ETIMEDOUT, "another process writes to it and does not end") from None
                time.sleep(POLL_SECONDS)


def is_damage(error: BaseException | None) -> bool:
    """Whether an error says that the file is not as SQLite left it."""
    code = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF in _DAMAGED or code == sqlite3.SQLITE_IOERR_SHORT_READ


def connect_to_read(path: Path) -> sqlite3.Connection:
    """A connection that changes nothing, not even on a disk that cannot be written."""
    # Where there is no log nobody writes, and SQLite need not make one to read.
    how = "mode=ro" if path.with_name(f"{path.name}-wal").exists() else "immutable=1"
    return sqlite3.connect(f"{path.absolute().as_uri()}?{how}", uri=True, isolation_level=None, check_same_thread=False)


def _make_folder(folder: Path) -> None:
    if folder.is_dir():
        return
    folder.mkdir(parents=True, exist_ok=True)
    # Else a reply outlives the loss of power, and the folder that it lies in does not.
    for made in (folder, folder.parent):
        descriptor = os.open(made, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _is_at(opened: os.stat_result, path: Path) -> bool:
    """Whether the file that is open is still the one of that name."""
    try:
        return os.path.samestat(opened, path.stat())
    except FileNotFoundError:
        return False
