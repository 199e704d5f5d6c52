"""Writes and links single files of a set on a local disk, so that they survive a loss of power."""

import os
import shutil
from pathlib import Path


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
