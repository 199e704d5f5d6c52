"""Reads the sets of one model, each by itself: one that cannot be read is a fault, and the others count."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from engine.catalogue.condition import Counts, Fault
from engine.catalogue.kept import RunFacts
from engine.domain.model import POLES, Pool
from engine.errors import StoreError
from engine.store.layout import VERDICT
from engine.store.sample_set import read_manifest
from engine.store.store import StoredSet, locate_pool, translate_errors
from engine.system.filesystem import list_folders, read_bytes

VERIFY = "exemplars verify"
PREFIX = "run="


@dataclass(frozen=True, slots=True)
class SetsOfModel:
    """The sets of a model in the order of their creation, and what of its part of the store cannot be read."""

    sets: tuple[StoredSet, ...]
    faults: tuple[Fault, ...]

    def choose(self, pool: Pool, status: str = "attached") -> list[StoredSet]:
        """Those of a pool and a status."""
        return [stored for stored in self.sets if stored.status == status and f"/pool={pool}/" in stored.folder]

    def count(self) -> dict[str, int]:
        """How many sets there are by status."""
        counts: dict[str, int] = {}
        for stored in self.sets:
            counts[stored.status] = counts.get(stored.status, 0) + 1
        return counts


def list_sets_of(samples_uri: str, handle: str) -> SetsOfModel:
    """Lists the sets of a model, whatever their pool and status."""
    found: list[StoredSet] = []
    faults: list[Fault] = []
    for pool in get_args(Pool):
        parent = locate_pool(samples_uri, handle, pool)
        try:
            with translate_errors(samples_uri, "Permit reading it"):
                names = [name for name in list_folders(parent) if name.startswith(PREFIX)]
        except StoreError as error:
            faults.append(Fault(str(error), (VERIFY,)))
            continue
        for name in names:
            try:
                manifest = read_manifest(f"{parent}/{name}")
            except StoreError as error:
                faults.append(Fault(str(error), (VERIFY,)))
                continue
            if manifest is not None:
                found.append(StoredSet(f"{parent}/{name}", manifest, written=False))
    found.sort(key=lambda stored: (str(stored.manifest.get("created_at", "")), stored.folder))
    return SetsOfModel(tuple(found), tuple(faults))


def count_samples(sets: Iterable[StoredSet]) -> dict[str, Counts]:
    """Counts the samples of some sets by trait key, by their manifests."""
    counts: dict[str, Counts] = {}
    for stored in sets:
        for trait, poles in stored.manifest.get("counts", {}).items():
            own = Counts(*(int(poles.get(pole, 0)) for pole in POLES))
            counts[trait] = counts.get(trait, Counts()) + own
    return {trait: own for trait, own in counts.items() if own.total}


def read_facts(sets: Iterable[StoredSet], known: Mapping[str, RunFacts]) -> dict[str, RunFacts]:
    """Reads what the verdicts of some sets say, by run id; those of ``known`` are read again only if they changed."""
    return {stored.run_id: facts for stored, facts in _walk_facts(sets, known)}


def _walk_facts(sets: Iterable[StoredSet], known: Mapping[str, RunFacts]) -> Iterator[tuple[StoredSet, RunFacts]]:
    for stored in sets:
        entry = stored.manifest.get("files", {}).get(VERDICT, {})
        digest = str(entry.get("sha256", ""))
        before = known.get(stored.run_id)
        if before is not None and before.digest == digest:
            yield stored, before
        elif digest:
            yield stored, _read_verdict(stored, digest)


def _read_verdict(stored: StoredSet, digest: str) -> RunFacts:
    """What a verdict says; nothing where it cannot be read, since ``exemplars verify`` reports that."""
    try:
        verdict: Any = json.loads(read_bytes(stored.file(VERDICT)))
        usd = (verdict.get("cost") or {}).get("usd")
        failed = [str(sentence) for sentence in verdict.get("failed") or ()]
        return RunFacts(digest, None if usd is None else float(usd), failed[0] if failed else "")
    except (OSError, StoreError, ValueError, TypeError, AttributeError):
        return RunFacts("", None, "")
