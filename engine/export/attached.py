"""Finds the samples that are handed on: those of a model's attached sets, or of the set of one run."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from engine.domain.model import Pool
from engine.domain.samples import SAMPLE_SCHEMA
from engine.errors import InputError
from engine.store.earlier.rows import walk_rows
from engine.store.store import StoredSet, get_set, list_sets

BATCH_ROWS = 1_000
POOLS: tuple[Pool, Pool] = ("train", "eval")


def find_attached(samples_uri: str, handle: str, pools: Sequence[Pool], run_id: str | None = None) -> list[StoredSet]:
    """Finds the attached sets of a model in some pools, pool by pool, or of them the one of a run.

    Raises:
        InputError: nothing is attached, or the run's set is none of these.
        StoreError: the store cannot be read.
    """
    if run_id is not None:
        return [_find_run(samples_uri, handle, pools, run_id)]
    sets = [stored for pool in pools for stored in list_sets(samples_uri, handle, pool)]
    if not sets:
        raise InputError(_explain_nothing(samples_uri, handle, pools))
    return sets


def walk_samples(sets: Iterable[StoredSet], columns: Sequence[str] = SAMPLE_SCHEMA.names) -> Iterator[dict[str, Any]]:
    """Yields the samples of some sets one by one, with some of their columns.

    Raises:
        StoreError: a set cannot be read.
    """
    for stored in sets:
        for table in walk_rows(stored, columns, BATCH_ROWS):
            yield from table.to_pylist()


def _find_run(samples_uri: str, handle: str, pools: Sequence[Pool], run_id: str) -> StoredSet:
    stored = get_set(samples_uri, run_id)
    if stored.handle != handle:
        raise InputError(f"The set of run {run_id} is one of {stored.handle}, not of {handle}")
    if stored.status != "attached":
        raise InputError(f"The set of run {run_id} is {stored.status}, and only attached samples are handed on")
    if (pool := stored.manifest["pool"]) not in pools:
        raise InputError(
            f"The set of run {run_id} is of the pool {pool}, and {' and '.join(pools)} is asked for. Name its pool: "
            f"--pool {pool}"
        )
    return stored


def _explain_nothing(samples_uri: str, handle: str, pools: Sequence[Pool]) -> str:
    said = f"{handle} has no attached samples in the pool {' or '.join(pools)}, so there is nothing to hand on"
    for other in (pool for pool in POOLS if pool not in pools):
        if list_sets(samples_uri, handle, other):
            return f"{said}. The pool {other} has some: --pool {other}"
    return f"{said}. `exemplars synthesize {handle}` makes some"
