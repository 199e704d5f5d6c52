"""Staging folders, in which a set is built before it moves into a local store, and the removal of left-over ones.

The name of a folder says for which model and pool it is. So the next run of that model, which holds its lease, knows
what a dead process left; of other models only what is a day old is known to be left over.
"""

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

STALE_SECONDS = 24 * 3600.0
PROBE = "_probe-"
# Readers of whole folders pass over a folder of this name.
STAGING = "__staging-"


@contextmanager
def make_staging(pool: Path) -> Iterator[Path]:
    """Yields a new folder on the store's disk, outside the store if possible, and removes it at the end.

    Outside, since DuckDB's ``**`` descends into every folder of the store.
    """
    staging = _make_folder(pool.parents[1], _name_owner(pool))
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def list_stale(root: Path) -> list[Path]:
    """The staging folders and probes in and beside a store's root that have not changed for a day, sorted."""
    return sorted(filter(_is_stale, [*_list_staging(root), *root.glob(f"{PROBE}*")]))


def sweep_stale(root: Path) -> list[Path]:
    """Removes what ``list_stale`` finds, and returns what is gone."""
    return [path for path in list_stale(root) if _clear(path)]


def sweep_staging(pool: Path) -> list[Path]:
    """Removes the staging folders of a pool, whatever their age, and returns those that are gone.

    The caller must hold the model's lease and lock, so that nobody works in them.
    """
    return [path for path in sorted(_list_staging(pool.parents[1], _name_owner(pool))) if _clear(path)]


def _make_folder(root: Path, owner: str) -> Path:
    try:
        staging = Path(tempfile.mkdtemp(prefix=f".{root.name}-staging-{owner}", dir=root.parent))
        if staging.stat().st_dev != root.stat().st_dev:
            staging.rmdir()
            raise OSError("the store is a mount of its own")
    except OSError:
        staging = Path(tempfile.mkdtemp(prefix=f"{STAGING}{owner}", dir=root))
    return staging


def _name_owner(pool: Path) -> str:
    """The part of a folder's name that tells its model and pool; no handle has a ``~``."""
    return f"{pool.parent.name.removeprefix('handle=')}~{pool.name.removeprefix('pool=')}~"


def _list_staging(root: Path, owner: str = "") -> list[Path]:
    return [*root.glob(f"{STAGING}{owner}*"), *root.parent.glob(f".{root.name}-staging-{owner}*")]


def _is_stale(path: Path) -> bool:
    try:
        return time.time() - path.lstat().st_mtime > STALE_SECONDS
    except FileNotFoundError:
        # Its process has removed it meanwhile.
        return False


def _clear(path: Path) -> bool:
    with suppress(OSError):
        if path.is_dir():
            # A writer that works in it after all does not find it any more, and commits no part of a set.
            shutil.rmtree(path.rename(path.with_name(f"{path.name}-gone")))
        else:
            path.unlink()
    return not path.exists()
