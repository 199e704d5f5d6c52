"""The tally: what all sets of a sample store come to, from their manifests; each is read once, since none changes."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from pyarrow import fs

from engine.errors import StoreError
from engine.listing.attached import find_manifests
from engine.store.sample_set import MANIFEST, REJECTED, VERDICT, read_manifest
from engine.store.store import list_pools
from engine.system.filesystem import list_below, open_folder, read_bytes

# The time of a manifest's file in nanoseconds, and its bytes.
Version = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Group:
    """The sets that are told of together."""

    namespace: str
    pool: str
    synth_type: str
    effort: str
    status: str


@dataclass(frozen=True, slots=True)
class Sums:
    """What some sets come to. ``exemplars`` are those that stand in the sets, ``cost_usd`` what is known of prices."""

    sets: int = 0
    exemplars: int = 0
    rejected_rows: int = 0
    cost_usd: float = 0.0

    def plus(self, other: "Sums") -> "Sums":
        """Both together."""
        return Sums(
            self.sets + other.sets,
            self.exemplars + other.exemplars,
            self.rejected_rows + other.rejected_rows,
            self.cost_usd + other.cost_usd,
        )


@dataclass(frozen=True, slots=True)
class Tally:
    """The sums of a whole store by group, and how many sets could not be read."""

    groups: Mapping[Group, Sums]
    unreadable: int = 0


class StoreCounter:
    """Counts a store again and again; between two times it remembers what each set came to, by its version."""

    def __init__(self, samples_uri: str) -> None:
        self._samples_uri = samples_uri.rstrip("/")
        self._known: dict[str, tuple[Version, tuple[Group, Sums] | None]] = {}

    def count(self) -> Tally:
        """The tally of what stands in the store now. A set that cannot be read is counted as such, and left out.

        Raises:
            StoreError: the store cannot be listed.
        """
        known: dict[str, tuple[Version, tuple[Group, Sums] | None]] = {}
        groups: defaultdict[Group, Sums] = defaultdict(Sums)
        for folder, version in list_manifests(self._samples_uri):
            before = self._known.get(folder)
            known[folder] = before if before and before[0] == version else (version, _count_set(folder))
            counted = known[folder][1]
            if counted is not None:
                groups[counted[0]] = groups[counted[0]].plus(counted[1])
        # Those that are gone are forgotten, and those that cannot be read are tried again.
        self._known = {folder: item for folder, item in known.items() if item[1] is not None}
        return Tally(dict(groups), len(known) - len(self._known))


def list_manifests(samples_uri: str) -> Iterator[tuple[str, Version]]:
    """The folder of each set that has a manifest, and which version of it.

    A local disk is walked folder by folder, an object store asked for all at once, a thousand files a request.

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
        place, _, name = info.path.removeprefix(f"{root}/").rpartition("/")
        if name == MANIFEST and place.startswith("handle=") and place.count("/") == 2:
            yield f"{samples_uri}/{place}", (info.mtime_ns or 0, info.size or 0)


def _count_set(folder: str) -> tuple[Group, Sums] | None:
    """What a set comes to; None where it cannot be read, or is gone again."""
    try:
        manifest = read_manifest(folder)
        return None if manifest is None else (_name_group(folder, manifest), _sum_set(folder, manifest))
    except (StoreError, KeyError, TypeError, ValueError, AttributeError, FileNotFoundError):
        return None


def _name_group(folder: str, manifest: Mapping[str, Any]) -> Group:
    handle = folder.rpartition("/handle=")[2].partition("/")[0]
    named = (str(manifest.get(name, "")) for name in ("pool", "synth_type", "effort", "status"))
    return Group(handle.partition(".")[0], *named)


def _sum_set(folder: str, manifest: Mapping[str, Any]) -> Sums:
    kept = sum(poles["positive"] + poles["negative"] for poles in manifest["counts"].values())
    rejected = manifest["files"].get(REJECTED, {}).get("rows") or 0
    # A set that was made by hand, or by the first versions, has no verdict, or one without a cost.
    verdict = json.loads(read_bytes(f"{folder}/{VERDICT}")) if VERDICT in manifest["files"] else {}
    cost_usd = (verdict.get("cost") or {}).get("usd") or 0.0
    return Sums(1, int(kept), int(rejected), float(cost_usd))
