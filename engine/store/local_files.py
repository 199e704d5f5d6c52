"""Writes and links single files of a set on a local disk, so that they survive a loss of power."""

import ctypes
import errno
import os
import shutil
from pathlib import Path

# Linux: both names change hands at once, and a path is taken as one of this process's folder.
_RENAME_EXCHANGE = 2
_AT_FDCWD = -100
_CANNOT = (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP)


def write_file(path: Path, content: bytes) -> None:
    """Writes and syncs a file in a folder that exists."""
    with path.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def link_file(path: Path, other: Path) -> None:
    """Gives a file another name as well; a copy on a disk that has no links."""
    try:
        os.link(path, other)
    except OSError:
        shutil.copy2(path, other)
        sync(other)


def sync(path: Path) -> None:
    """Writes a file or a folder through to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def exchange_folders(one: Path, other: Path) -> bool:
    """Exchanges two folders in one step, so that both names are there at every moment.

    Returns:
        False where this system or this disk cannot do it.

    Raises:
        OSError: a folder is not there, or may not be moved.
    """
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    if rename(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in _CANNOT:
        return False
    raise OSError(number, os.strerror(number), str(one))
