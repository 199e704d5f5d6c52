"""Finds a sample by its id, wherever it stands or stood: in a set of any status, or among a model's own samples."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, cast, get_args

import pyarrow.compute as pc
import pyarrow.parquet as pq

from engine.definitions.loader import list_handles
from engine.domain.model import Pool, check_handle
from engine.errors import DefinitionError, InputError, StoreError
from engine.listing.places import walk_authored
from engine.listing.samples import PROVENANCE
from engine.store.layout import MANIFEST, PROPOSED, REJECTED
from engine.store.proposals import STATUSES
from engine.store.store import StoredSet, explain_damage, get_set, list_in_pool, list_pools, locate_pool
from engine.system.filesystem import open_whole

# Where there are several places, the first of these says most.
Standing = Literal["attached", "proposed", "authored", "removed", "replaced", "left out", "detached", "rejected"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sample stands, or stood.

    Args:
        where: its file, of an author's own with the line.
        row: its columns, as the store has them; of an author's own, and of one removed, those that are known.
        stored: its set; None for an author's own.
    """

    handle: str
    standing: Standing
    where: str
    row: Mapping[str, Any]
    stored: StoredSet | None = None


def find_places(models_uri: str, samples_uri: str, number: int, handle: str | None, run_id: str | None) -> list[Place]:
    """All places of the sample of that id, the one that says most first: runs may have made one text more than once.

    An author's own are looked for where no set has it. Where no model or run is named, damage elsewhere stops nothing.

    Args:
        handle: looks at this model alone; None: at all.
        run_id: looks at this run's set alone; None: at all.

    Raises:
        InputError: there is no such sample, set or model. StoreError: what may have it cannot be read.
    """
    faults: list[StoreError] = []
    # One damaged set, or one model's mistakes, is no reason to say nothing of another's sample.
    passing_over = nullcontext if handle or run_id else partial(_pass_over, faults)
    places: list[Place] = []
    for stored in _list_sets(samples_uri, handle, run_id, passing_over):
        with passing_over():
            places += _find_in_set(stored, number)
    if not places and run_id is None:
        for name in [handle] if handle else list_handles(models_uri):
            with passing_over():
                places += _find_own(models_uri, name, number)
    if not places and faults:
        raise faults[0]
    if not places:
        looked = f"the set of run {run_id}" if run_id else handle or f"{samples_uri} and {models_uri}"
        raise InputError(
            f"There is no sample {number} in {looked}. An id has up to 16 digits, of which a spreadsheet may show "
            "fewer: copy it from the file, or from the table of a report"
        )
    standings = get_args(Standing)
    return sorted(places, key=lambda place: standings.index(place.standing))


def list_corrected(stored: StoredSet) -> dict[int, int]:
    """The ids of texts that a person wrote in a set's review, each with that of the text in whose place it stands."""
    return {entry["id"]: entry["was"] for entry in stored.manifest.get("review", {}).get("corrected", ())}


def read_matching(stored: StoredSet, name: str, column: str, value: object) -> list[dict[str, Any]]:
    """The rows of one file of a set that have a value in a column, none without that file; whole only if there are any.

    Raises:
        StoreError: it cannot be read.
    """
    if name not in stored.manifest["files"]:
        return []
    with (
        explain_damage(stored, name),
        open_whole(stored.file(name)) as source,
        pq.ParquetFile(source, page_checksum_verification=True) as parquet,
    ):
        hits = pc.equal(parquet.read([column])[column], value)
        return parquet.read().filter(hits).to_pylist() if pc.any(hits).as_py() else []


def _list_sets(
    samples_uri: str, handle: str | None, run_id: str | None, passing_over: Callable[[], AbstractContextManager[None]]
) -> Iterator[StoredSet]:
    if run_id is not None:
        yield get_set(samples_uri, run_id)
        return
    own = [locate_pool(samples_uri, check_handle(handle), pool) for pool in get_args(Pool)] if handle else []
    for pool in own or list_pools(samples_uri):
        with passing_over():
            yield from list_in_pool(pool, STATUSES)


@contextmanager
def _pass_over(faults: list[StoreError]) -> Iterator[None]:
    try:
        yield
    except DefinitionError:
        pass
    except StoreError as error:
        faults.append(error)


def _find_in_set(stored: StoredSet, number: int) -> Iterator[Place]:
    """Yields the places of a sample in one set; what a person has left out stands in its proposal alone."""
    there = False
    if stored.status != "rejected":
        for row in read_matching(stored, stored.rows_name, "id", number):
            there = True
            standing = cast(Standing, stored.status)
            yield Place(stored.handle, standing, stored.file(stored.rows_name), row, stored)
    for entry in stored.manifest.get("removals", ()):
        if entry["id"] == number:
            there = True
            yield Place(stored.handle, "removed", stored.file(MANIFEST), entry, stored)
    if stored.status != "proposed" and not there:
        for row in read_matching(stored, PROPOSED, "id", number):
            gone: Standing = "replaced" if number in list_corrected(stored).values() else "left out"
            yield Place(stored.handle, gone, stored.file(PROPOSED), row, stored)
    for row in read_matching(stored, REJECTED, "id", number):
        yield Place(stored.handle, "rejected", stored.file(REJECTED), row, stored)


def _find_own(models_uri: str, handle: str, number: int) -> Iterator[Place]:
    for _, source, seed in walk_authored(models_uri, handle, [number]):
        row = {"id": number, "provenance": PROVENANCE, "pole": seed.pole, "content_sha256": seed.sha256}
        row |= {name: getattr(seed, name) for name in ("trait", "text", "quality", "source_url")}
        yield Place(handle, "authored", source.locate(seed), row)
