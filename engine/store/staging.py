"""Staging folders, in which a set is built before it moves into a local store, and the removal of left-over ones.

A process locks its staging folder for as long as it lives. The folder's name identifies the host and boot on which that
lock is visible; a folder made elsewhere, on a shared disk, counts as left over once it is unchanged for a day.
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
# Readers of whole folders pass over a folder of this name; the second name is that of older versions.
STAGINGS = ("__staging-", "_staging-")
PROBE_BYTES = 4096


@contextmanager
def make_staging(root: Path) -> Iterator[Path]:
    """Yields a new locked folder on the store's disk, outside the store if possible, and removes it at the end.

    Outside, since DuckDB's ``**`` descends into every folder of the store. A set that was put aside in it
    (``name_aside``) moves back to its place if that place is empty at the end.
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
    """A free path in ``staging`` for putting a set aside, from which its place in the store can be read."""
    aside = staging / f"old-{uuid.uuid4().hex}" / folder.relative_to(root)
    aside.parent.mkdir(parents=True)
    return aside


def probe_folder(root: Path) -> None:
    """Makes the folder, and writes and deletes a file in it, to check that the store can be written.

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
    """The staging folders and probes in and beside a store's root that no live process owns, sorted.

    Empty ones are left out: one may have been made this instant and be about to be locked.
    """
    return [path for path in _list_temporary(root) if not _is_empty(path) and _is_left_over(path)]


def sweep_staging(root: Path) -> list[Path]:
    """Removes staging folders and probes that no live process owns, and returns those that are gone.

    A set that was put aside in one moves back to its place in the store.
    """
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
        # Between its creation and its lock another process may have removed it as left over.
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
        staging = Path(tempfile.mkdtemp(prefix=f"{STAGINGS[0]}{system}-", dir=root))
    return staging


def _lock(descriptor: int) -> None:
    # Some disks have no locks; on those, left-over folders are recognised by their age.
    with suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_EX)


def _list_temporary(root: Path) -> list[Path]:
    inside = [path for start in (*STAGINGS, PROBE) for path in root.glob(f"{start}*")]
    return sorted([*inside, *root.parent.glob(f".{root.name}-staging-*")])


def _is_empty(path: Path) -> bool:
    try:
        return not (any(path.iterdir()) if path.is_dir() else path.stat().st_size)
    except FileNotFoundError:
        return True


def _is_left_over(path: Path) -> bool:
    with suppress(FileNotFoundError), _take_over(path) as is_ours:
        # Its owner may have removed it and let go of its lock since it was opened here.
        return is_ours and path.exists()
    return False


@contextmanager
def _take_over(path: Path) -> Iterator[bool]:
    """Yields whether the process that made it is gone; if so, its lock is held inside the block."""
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
        # If another set stands there, that one has replaced it.
        with suppress(OSError):
            aside.rename(place)
        if not place.exists():
            return
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _name_system() -> str:
    """An id of this host and boot, within which a lock is visible to every process."""
    try:
        started = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
    except OSError:
        started = ""
    return hashlib.sha256(f"{socket.gethostname()}|{started}".encode()).hexdigest()[:12]
