"""Staging: where a set is made before it moves into a store on a local disk, and what a dead process left there.

A process holds a lock on what it makes here for as long as it lives. Its name says on which system that lock is seen:
what comes from another one, on a disk that both share, is left over only when it has not changed for a day.
"""

import fcntl
import hashlib
import os
import shutil
import socket
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

STALE_SECONDS = 24 * 3600.0
PROBE = "_probe-"
PROBE_BYTES = 4096


@contextmanager
def make_staging(root: Path) -> Iterator[Path]:
    """A folder on the store's own disk but outside the store, since DuckDB's ``**`` descends into any folder.

    What was put aside in it (``name_aside``) goes back to its place where that is empty in the end.
    """
    root.mkdir(parents=True, exist_ok=True)
    staging, descriptor = _make_locked(root)
    try:
        yield staging
    finally:
        try:
            _clear(root, staging)
        finally:
            os.close(descriptor)


def name_aside(root: Path, staging: Path, folder: Path) -> Path:
    """Where a set is put aside, on a path that tells its place; nothing is there yet."""
    aside = staging / f"old-{uuid.uuid4().hex}" / folder.relative_to(root)
    aside.parent.mkdir(parents=True)
    return aside


def probe_folder(root: Path) -> None:
    """Makes the folder and a file in it, and takes the file away again.

    Raises:
        OSError: the disk is full, read-only, or gone.
    """
    root.mkdir(parents=True, exist_ok=True)
    probe = root / f"{PROBE}{_name_system()}-{uuid.uuid4().hex}"
    try:
        with probe.open("wb") as stream:
            _lock(stream.fileno())
            stream.write(b"\0" * PROBE_BYTES)
    finally:
        probe.unlink(missing_ok=True)


def list_left_over(root: Path) -> list[Path]:
    """What lies in and beside a store's root and belongs to no process that lives, sorted.

    What is empty may have been made this instant, and be locked in the next.
    """
    return [path for path in _list_temporary(root) if not _is_empty(path) and _is_left_over(path)]


def sweep_staging(root: Path) -> list[Path]:
    """Takes away what ``list_left_over`` finds, and tells what. A set that was put aside goes back to its place."""
    swept = []
    for path in _list_temporary(root):
        with suppress(OSError), _take_over(path) as is_ours:
            if is_ours:
                _clear(root, path)
                swept += [] if path.exists() else [path]
    return swept


def _make_locked(root: Path) -> tuple[Path, int]:
    """A new folder, and a descriptor that holds its lock until it is closed."""
    while True:
        staging = _make_folder(root)
        descriptor = os.open(staging, os.O_RDONLY)
        _lock(descriptor)
        # Before it was locked, it may have been taken for left over.
        if staging.exists():
            return staging, descriptor
        os.close(descriptor)


def _make_folder(root: Path) -> Path:
    system = _name_system()
    try:
        staging = Path(tempfile.mkdtemp(prefix=f".{root.name}-staging-{system}-", dir=root.parent))
        if staging.stat().st_dev != root.stat().st_dev:
            staging.rmdir()
            raise OSError("the store is a mount of its own")
    except OSError:
        staging = Path(tempfile.mkdtemp(prefix=f"_staging-{system}-", dir=root))
    return staging


def _lock(descriptor: int) -> None:
    # Some disks have no locks: there what is left over is known by its age.
    with suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_EX)


def _list_temporary(root: Path) -> list[Path]:
    inside = [path for pattern in ("_staging-*", f"{PROBE}*") for path in root.glob(pattern)]
    return sorted([*inside, *root.parent.glob(f".{root.name}-staging-*")])


def _is_empty(path: Path) -> bool:
    try:
        return not (any(path.iterdir()) if path.is_dir() else path.stat().st_size)
    except FileNotFoundError:
        return True


def _is_left_over(path: Path) -> bool:
    with suppress(FileNotFoundError), _take_over(path) as is_ours:
        return is_ours
    return False


@contextmanager
def _take_over(path: Path) -> Iterator[bool]:
    """Whether the process that made it is gone; then nobody else takes it over inside the block."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        yield _is_gone(path, descriptor)
    finally:
        os.close(descriptor)


def _is_gone(path: Path, descriptor: int) -> bool:
    if f"-{_name_system()}-" in path.name:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            return False
        except OSError:
            pass
    newest = max(found.lstat().st_mtime for found in (path, *path.rglob("*")))
    return time.time() - newest > STALE_SECONDS


def _clear(root: Path, path: Path) -> None:
    for aside in path.glob("old-*/handle=*/pool=*/run=*"):
        place = root / aside.relative_to(path).relative_to(aside.relative_to(path).parts[0])
        # Where another set stands, that one is what took its place.
        with suppress(OSError):
            aside.rename(place)
        if not place.exists():
            return
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _name_system() -> str:
    """Host and start of its system: a lock of this kernel's is seen there, and may not be elsewhere."""
    try:
        started = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        started = ""
    return hashlib.sha256(f"{socket.gethostname()}|{started}".encode()).hexdigest()[:12]
