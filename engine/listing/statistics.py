"""Counts the sets of a whole sample store for its Prometheus gauges; each version of a manifest is read once."""

from collections import Counter
from functools import lru_cache

from engine.errors import StoreError
from engine.store.commit import find_manifests
from engine.store.sample_set import read_manifest
from engine.store.store import UNREADABLE, list_pools, translate_errors
from engine.system.filesystem import open_folder


def count_store(samples_uri: str) -> tuple[Counter[str], int]:
    """How many sets a store has by their status, and how many more cannot be read and are tried again the next time.

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
    return sets, unreadable


# Safe to keep: a manifest is never changed in place, and one that replaces it has another time or another size.
@lru_cache(maxsize=65_536)
def _read_status(folder: str, _version: tuple[int, int]) -> str:
    """The status in a set's manifest of this time and size; empty where it is gone by now."""
    return str((read_manifest(folder) or {}).get("status", ""))
