"""Staging folders, in which a set is built before it moves into a local store, and the removal of left-over ones."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

STALE_SECONDS = 24 * 3600.0
PROBE = "_probe-"
# Readers of whole folders pass over a folder of this name.
STAGING = "__staging-"


@contextmanager
def make_staging(root: Path) -> Iterator[Path]:
    """Yields a new folder on the store's disk, outside the store if possible, and removes it at the end.

    Outside, since DuckDB's ``**`` descends into every folder of the store.
    """
    staging = _make_folder(root)
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def list_stale(root: Path, now: datetime) -> list[Path]:
    """The staging folders and probes in and beside a store's root that have not changed for a day, sorted."""
    found = [*root.glob(f"{STAGING}*"), *root.parent.glob(f".{root.name}-staging-*"), *root.glob(f"{PROBE}*")]
    return sorted(path for path in found if _is_stale(path, now))


def sweep_stale(root: Path, now: datetime) -> list[Path]:
    """Removes what ``list_stale`` finds, and returns what is gone."""
    return [path for path in list_stale(root, now) if _clear(path)]


def _make_folder(root: Path) -> Path:
    try:
        staging = Path(tempfile.mkdtemp(prefix=f".{root.name}-staging-", dir=root.parent))
        if staging.stat().st_dev != root.stat().st_dev:
            staging.rmdir()
            raise OSError("the store is a mount of its own")
    except OSError:
        staging = Path(tempfile.mkdtemp(prefix=STAGING, dir=root))
    return staging


def _is_stale(path: Path, now: datetime) -> bool:
    try:
        return now.timestamp() - path.lstat().st_mtime > STALE_SECONDS
    except FileNotFoundError:
        # Its process has removed it meanwhile.
        return False


def _clear(path: Path) -> bool:
    with suppress(OSError):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    return not path.exists()
