"""Statistics of a whole sample store for its Prometheus gauges, summed from manifests; each version is read once."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from pyarrow import fs

from engine.errors import StoreError
from engine.store.commit import find_manifests
from engine.store.layout import MANIFEST, REJECTED, VERDICT
from engine.store.sample_set import read_manifest
from engine.store.store import list_pools
from engine.system.filesystem import list_below, open_folder, read_bytes

# The modification time of a manifest in nanoseconds, and its size in bytes.
Version = tuple[int, int]


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


class StoreCounter:
    """Computes the statistics of a store, again and again; caches each set's totals by its manifest's version."""

    def __init__(self, samples_uri: str) -> None:
        self._samples_uri = samples_uri.rstrip("/")
        self._known: dict[str, tuple[Version, tuple[SetGroup, SetTotals] | None]] = {}

    def count(self) -> StoreStatistics:
        """The statistics of the store as it is now; a set that cannot be read counts as unreadable and nowhere else.

        Raises:
            StoreError: the store cannot be listed.
        """
        known: dict[str, tuple[Version, tuple[SetGroup, SetTotals] | None]] = {}
        groups: defaultdict[SetGroup, SetTotals] = defaultdict(SetTotals)
        for folder, version in list_manifests(self._samples_uri):
            before = self._known.get(folder)
            known[folder] = before if before and before[0] == version else (version, _count_set(folder))
            counted = known[folder][1]
            if counted is not None:
                groups[counted[0]] = groups[counted[0]] + counted[1]
        # Sets that are gone are forgotten, and sets that cannot be read are tried again next time.
        self._known = {folder: item for folder, item in known.items() if item[1] is not None}
        return StoreStatistics(dict(groups), len(known) - len(self._known))


def list_manifests(samples_uri: str) -> Iterator[tuple[str, Version]]:
    """Yields the folder of each set that has a manifest, with the version of the manifest.

    A local disk is walked folder by folder; an object store is listed at once, 1,000 files a request.

    Raises:
        StoreError: the store cannot be listed.
    """
    try:
        filesystem, root = open_folder(samples_uri)
        if not isinstance(filesystem, fs.LocalFileSystem):
            yield from _list_remote(filesystem, root, samples_uri)
            return
        for pool in list_pools(samples_uri):
            for name, version in find_manifests(filesystem, open_folder(pool)[1]).items():
                yield f"{pool}/{name}", version
    except (OSError, pa.ArrowException) as error:
        raise StoreError(f"The sample store {samples_uri} cannot be listed: {error}") from error


def _list_remote(filesystem: fs.FileSystem, root: str, samples_uri: str) -> Iterator[tuple[str, Version]]:
    for info in list_below(filesystem, root, recursive=True):
        parts = info.path.removeprefix(f"{root}/").split("/", 3)
        if parts[0].startswith("handle=") and len(parts) == 4 and parts[3] == MANIFEST:
            yield "/".join([samples_uri, *parts[:3]]), (info.mtime_ns or 0, info.size or 0)


def _count_set(folder: str) -> tuple[SetGroup, SetTotals] | None:
    """The group and totals of a set; None if it cannot be read or is gone."""
    try:
        manifest = read_manifest(folder)
        return None if manifest is None else (_name_group(folder, manifest), _total_set(folder, manifest))
    except (StoreError, KeyError, TypeError, ValueError, AttributeError, FileNotFoundError):
        return None


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
