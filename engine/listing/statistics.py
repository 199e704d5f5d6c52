"""Counts the sets of a whole sample store for its Prometheus gauges; each version of a manifest is read once."""

from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache

from engine.errors import StoreError
from engine.store.commit import find_manifests
from engine.store.sample_set import read_manifest
from engine.store.store import UNREADABLE, list_pools, translate_errors
from engine.system.filesystem import open_folder


@dataclass(frozen=True, slots=True)
class StoreStatistics:
    """How many sets a store has by their status, and how many more cannot be read."""

    sets: Counter[str] = field(default_factory=Counter)
    unreadable: int = 0


def count_store(samples_uri: str) -> StoreStatistics:
    """The statistics of a store as it is now; a set that could not be read is tried again the next time.

    Raises:
        StoreError: the store cannot be listed.
    """
    sets, unreadable = Counter[str](), 0
    for pool in list_pools(samples_uri):
        with translate_errors(pool, UNREADABLE):
            found = find_manifests(*open_folder(pool))
        for name, version in found.items():
            try:
                sets[_read_status(f"{pool}/{name}", version)] += 1
            except StoreError:
                unreadable += 1
    return StoreStatistics(sets, unreadable)


# Safe to keep: a manifest is never changed in place, and one that replaces it has another time or another size.
@lru_cache(maxsize=65_536)
def _read_status(folder: str, _version: tuple[int, int]) -> str:
    """The status in a set's manifest of this time and size; empty where it is gone by now."""
    return str((read_manifest(folder) or {}).get("status", ""))
