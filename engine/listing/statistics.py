"""Statistics of a whole sample store for its Prometheus gauges, summed from manifests; each version is read once."""

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from engine.errors import StoreError
from engine.store.commit import find_manifests
from engine.store.layout import REJECTED, VERDICT
from engine.store.sample_set import read_manifest
from engine.store.store import UNREADABLE, list_pools, translate_errors
from engine.system.filesystem import open_folder, read_bytes


@dataclass(frozen=True, slots=True)
class SetGroup:
    """What the sets that are summed together have in common; the labels of the gauges."""

    namespace: str
    pool: str
    synth_type: str
    effort: str
    status: str


@dataclass(frozen=True, slots=True)
class SetTotals:
    """Totals over some sets: ``exemplars`` are those attached, ``cost_usd`` is summed where the price is known."""

    sets: int = 0
    exemplars: int = 0
    rejected_rows: int = 0
    cost_usd: float = 0.0

    def __add__(self, other: "SetTotals") -> "SetTotals":
        return SetTotals(
            self.sets + other.sets,
            self.exemplars + other.exemplars,
            self.rejected_rows + other.rejected_rows,
            self.cost_usd + other.cost_usd,
        )


@dataclass(frozen=True, slots=True)
class StoreStatistics:
    """The totals of a whole store by group, and the number of sets that could not be read."""

    groups: Mapping[SetGroup, SetTotals]
    unreadable: int = 0


def count_store(samples_uri: str) -> StoreStatistics:
    """The statistics of a store as it is now; a set that cannot be read counts as unreadable and nowhere else.

    Raises:
        StoreError: the store cannot be listed.
    """
    groups: defaultdict[SetGroup, SetTotals] = defaultdict(SetTotals)
    unreadable = 0
    for pool in list_pools(samples_uri):
        with translate_errors(pool, UNREADABLE):
            found = find_manifests(*open_folder(pool))
        for name, version in found.items():
            try:
                group, totals = _count_set(f"{pool}/{name}", version)
                groups[group] += totals
            except (OSError, StoreError, KeyError, TypeError, ValueError, AttributeError):
                unreadable += 1
    return StoreStatistics(dict(groups), unreadable)


# Safe to keep: a manifest is never changed in place, and one that replaces it has another time or another size.
@lru_cache(maxsize=65_536)
def _count_set(folder: str, _version: tuple[int, int]) -> tuple[SetGroup, SetTotals]:
    """The group and totals of a set, by its manifest of this time and size."""
    manifest = read_manifest(folder)
    if manifest is None:
        raise FileNotFoundError(folder)
    return _name_group(folder, manifest), _total_set(folder, manifest)


def _name_group(folder: str, manifest: Mapping[str, Any]) -> SetGroup:
    handle = folder.rpartition("/handle=")[2].partition("/")[0]
    named = (str(manifest.get(name, "")) for name in ("pool", "synth_type", "effort", "status"))
    return SetGroup(handle.partition(".")[0], *named)


def _total_set(folder: str, manifest: Mapping[str, Any]) -> SetTotals:
    kept = sum(poles["positive"] + poles["negative"] for poles in manifest["counts"].values())
    rejected = manifest["files"].get(REJECTED, {}).get("rows") or 0
    # A set made by hand has no verdict, or a verdict without a cost.
    verdict = json.loads(read_bytes(f"{folder}/{VERDICT}")) if VERDICT in manifest["files"] else {}
    cost_usd = (verdict.get("cost") or {}).get("usd") or 0.0
    return SetTotals(1, int(kept), int(rejected), float(cost_usd))
