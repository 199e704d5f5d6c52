"""The folder of a plan's kept replies: which processes have it open, and the lock for changing it."""

import errno
import fcntl
import os
import secrets
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

TURN = "turn.lock"
USERS = "users"
REMOVED = ".removed-"
# A turn is a commit or, once, the healing of a file: who waits longer waits for a process that was stopped.
MAX_WAIT_SECONDS = 30.0
_PAUSE_SECONDS = 0.001


class InUseError(Exception):
    """A live process has the folder open."""


class PlanFolder:
    """A plan's folder, made where it is missing, and open until ``leave``; ``token`` tells this opening from others.

    Its locks are the kernel's (``flock``) and end with the process, however it ends. ``users/<token>`` is held as long
    as the folder is open, ``turn.lock`` for each change. SQLite's own lock would do for its transactions, but before
    3.51.3 two connections may not commit and check-point at once (https://sqlite.org/wal.html#walresetbug).

    Raises:
        OSError: the folder cannot be made, or takes no files.
    """

    def __init__(self, path: Path, max_wait_seconds: float = MAX_WAIT_SECONDS) -> None:
        self.path = path
        self.token = secrets.token_hex(8)
        self._max_wait_seconds = max_wait_seconds
        self._threads = threading.Lock()
        self._turn = _enter(path, max_wait_seconds)
        try:
            self._user = _take(path / USERS / self.token)
            # When the plan was last used is the time of this file.
            os.utime(path / TURN)
            fcntl.flock(self._turn, fcntl.LOCK_UN)
        except BaseException:
            os.close(self._turn)
            raise

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Inside is one thread of one process at a time.

        Raises:
            TimeoutError: another stays inside. FileNotFoundError: the folder has been removed.
        """
        with self._threads:
            _wait_for(self._turn, self._max_wait_seconds)
            try:
                if not _is_at(self._turn, self.path / TURN):
                    raise FileNotFoundError(errno.ENOENT, "the folder was removed while it was in use")
                yield
            finally:
                fcntl.flock(self._turn, fcntl.LOCK_UN)

    def is_live(self, token: str) -> bool:
        """Whether the one who opened the folder under that token still has it open."""
        return token == self.token or _is_held(self.path / USERS / token)

    def sweep(self) -> None:
        """Removes the marks of those that died; to be called in a turn."""
        for user in (self.path / USERS).iterdir():
            if not self.is_live(user.name):
                user.unlink(missing_ok=True)

    def leave(self) -> None:
        """Gives the locks back; the folder stays."""
        with suppress(OSError):
            (self.path / USERS / self.token).unlink()
            os.utime(self.path / TURN)
        os.close(self._user)
        os.close(self._turn)


def is_in_use(path: Path) -> bool:
    """Whether a live process has a plan's folder open."""
    with suppress(FileNotFoundError):
        return any(_is_held(user) for user in (path / USERS).iterdir())
    return False


def remove_folder(path: Path) -> None:
    """Removes a plan's folder in one move, so that none is ever there by half.

    Raises:
        InUseError: it is open somewhere.
        OSError: it cannot be removed.
    """
    try:
        turn = _enter(path, 0)
    except TimeoutError as error:
        raise InUseError(path) from error
    try:
        if is_in_use(path):
            raise InUseError(path)
        removed = path.with_name(f"{REMOVED}{secrets.token_hex(8)}")
        path.rename(removed)
    finally:
        os.close(turn)
    shutil.rmtree(removed)


def _enter(path: Path, wait_seconds: float) -> int:
    """The descriptor of a folder's turn, which is held; a folder that goes meanwhile is made again."""
    while True:
        _make(path)
        with suppress(FileNotFoundError):
            turn = os.open(path / TURN, os.O_RDWR | os.O_CREAT, 0o666)
            try:
                _wait_for(turn, wait_seconds)
                if _is_at(turn, path / TURN):
                    return turn
            except BaseException:
                os.close(turn)
                raise
            os.close(turn)


def _make(path: Path) -> None:
    if (path / USERS).is_dir():
        return
    (path / USERS).mkdir(parents=True, exist_ok=True)
    # Else a reply outlives the loss of power, and the folder that it lies in does not.
    for folder in (path, path.parent, path.parent.parent):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _take(user: Path) -> int:
    descriptor = os.open(user, os.O_RDWR | os.O_CREAT, 0o666)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return descriptor


def _wait_for(turn: int, wait_seconds: float) -> None:
    end = time.monotonic() + wait_seconds
    while True:
        try:
            return fcntl.flock(turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= end:
                raise TimeoutError(errno.ETIMEDOUT, "another process writes to it and does not end") from None
            time.sleep(_PAUSE_SECONDS)


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether the file that is open is still the one of that name."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _is_held(user: Path) -> bool:
    try:
        descriptor = os.open(user, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
