"""Find samples by id, in sets of any status and among a model's authored samples.

Attached samples and added samples can be removed from their model.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, cast, get_args

from engine.definitions.loader import list_handles, load_outline
from engine.definitions.outline import ADDED_FILE
from engine.domain.model import Pool, check_handle
from engine.domain.samples import make_id, make_own_row
from engine.errors import DefinitionError, InputError, StoreError
from engine.listing.samples import walk_seeds
from engine.store.added_samples import find_authored, remove_added
from engine.store.changes import MAX_ID, Removal, remove_stored
from engine.store.index.rows import passing_over_detached, read_matching
from engine.store.layout import MANIFEST, PROPOSED, REJECTED
from engine.store.proposals import STATUSES
from engine.store.store import StoredSet, get_set, list_in_pool, list_pools, list_sets, locate_pool

# The states of a sample at a location, the most informative first.
SampleState = Literal["attached", "proposed", "authored", "removed", "replaced", "left out", "detached", "rejected"]


@dataclass(frozen=True, slots=True)
class SampleLocation:
    """A file that contains a sample, or that names it after its removal.

    Args:
        where: the file; for an authored sample with the line number.
        row: the sample's columns in the store; the known columns of an authored or removed sample.
        stored: the sample's set; None for an authored sample.
        is_added: whether it is an authored sample that was added over HTTP.
    """

    handle: str
    state: SampleState
    where: str
    row: Mapping[str, Any]
    stored: StoredSet | None = None
    is_added: bool = False

    @property
    def number(self) -> int:
        """The sample's id."""
        return int(self.row["id"])

    @property
    def is_removable(self) -> bool:
        """Return whether the sample can be removed: it is attached or was added."""
        return self.state == "attached" or self.is_added


def find_locations(
    models_uri: str, samples_uri: str, number: int, handle: str | None, run_id: str | None
) -> list[SampleLocation]:
    """Return all locations of the sample with this id, the most informative first.

    There are several if runs generated the same text more than once. Authored samples are searched only if no set has
    the sample. Damaged sets and models are skipped, unless a model or run is given or nothing is found elsewhere.

    Args:
        handle: the only model to search; None: all models.
        run_id: the only run to search; None: all runs.

    Raises:
        InputError: there is no such sample, set or model. StoreError: a file that may have the sample cannot be read.
    """
    faults: list[StoreError] = []
    ids = _choose_possible([number])
    # One damaged set, or the mistakes of one model, must not hide a sample of another.
    passing_over = nullcontext if handle or run_id else partial(_pass_over, faults)
    places: list[SampleLocation] = []
    for stored in _list_sets(samples_uri, handle, run_id, passing_over):
        with passing_over():
            places += list(_find_rows(stored, ids)) or list(_find_left_out(stored, ids))
            places += _list_in_file(stored, REJECTED, "rejected", ids)
    if not places and run_id is None:
        for name in [handle] if handle else list_handles(models_uri):
            with passing_over():
                places += _find_in_sources(models_uri, name, ids)
    if not places and faults:
        raise faults[0]
    if not places:
        searched = f"the set of run {run_id}" if run_id else handle or f"{samples_uri} and {models_uri}"
        raise InputError(
            f"There is no sample {number} in {searched}. An id has up to 16 digits, of which a spreadsheet may show "
            "fewer: copy it from the file, or from the table of a report"
        )
    states = get_args(SampleState)
    return sorted(places, key=lambda place: states.index(place.state))


def find_in_model(
    models_uri: str, samples_uri: str, handle: str, ids: Collection[int], pools: Sequence[Pool] = ("train",)
) -> list[SampleLocation]:
    """Return the locations of a model's attached, removed and authored samples with these ids.

    An attached sample is not searched for among the authored samples.

    Raises:
        UnknownModelError, DefinitionError: there is no such model, or a file of it has mistakes.
        StoreError: a set or source cannot be read.
    """
    places, requested = list[SampleLocation](), _choose_possible(ids)
    for stored in (stored for pool in pools for stored in list_sets(samples_uri, handle, pool)):
        with passing_over_detached(stored):
            places += _find_rows(stored, requested)
    attached = {place.number for place in places if place.is_removable}
    return [*places, *_find_in_sources(models_uri, handle, requested - attached)]


def list_touched(places: Collection[SampleLocation]) -> list[StoredSet]:
    """Return the attached sets that lose samples if the samples at these locations are removed, each once."""
    return list({place.stored.folder: place.stored for place in places if place.stored and place.is_removable}.values())


def remove_samples(models_uri: str, handle: str, places: Collection[SampleLocation], removal: Removal) -> None:
    """Remove the removable samples, set by set. The caller must keep runs of the model out.

    Raises:
        InputError: a set is no longer attached. DefinitionError: the file of added samples has mistakes.
        StoreError: a file cannot be read or written. Earlier removals stay; another call removes the remaining samples.
    """
    for stored in list_touched(places):
        remove_stored(stored, removal)
    if added := [place.number for place in places if place.is_added]:
        remove_added(models_uri, handle, added)


def list_corrected(stored: StoredSet) -> dict[int, int]:
    """Return the ids of the texts that a person wrote in a set's review, each with the id of the replaced text."""
    return {entry["id"]: entry["was"] for entry in stored.manifest.get("review", {}).get("corrected", ())}


def _choose_possible(ids: Iterable[int]) -> set[int]:
    return {number for number in ids if 0 <= number < MAX_ID}


def _list_sets(
    samples_uri: str, handle: str | None, run_id: str | None, passing_over: Callable[[], AbstractContextManager[None]]
) -> Iterator[StoredSet]:
    if run_id is not None:
        yield get_set(samples_uri, run_id)
        return
    pools = [locate_pool(samples_uri, check_handle(handle), pool) for pool in get_args(Pool)] if handle else []
    for pool in pools or list_pools(samples_uri):
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


def _find_rows(stored: StoredSet, ids: Collection[int]) -> Iterator[SampleLocation]:
    if stored.status != "rejected":
        yield from _list_in_file(stored, stored.rows_name, cast(SampleState, stored.status), ids)
    for entry in stored.manifest.get("removals", ()):
        if entry["id"] in ids:
            yield SampleLocation(stored.handle, "removed", stored.file(MANIFEST), entry, stored)


def _find_left_out(stored: StoredSet, ids: Collection[int]) -> Iterator[SampleLocation]:
    """Yield the locations of samples that a review left out or replaced: only the set's proposal has them."""
    if stored.status != "proposed":
        is_replaced = not set(list_corrected(stored).values()).isdisjoint(ids)
        yield from _list_in_file(stored, PROPOSED, "replaced" if is_replaced else "left out", ids)


def _list_in_file(stored: StoredSet, name: str, state: SampleState, ids: Collection[int]) -> Iterator[SampleLocation]:
    for row in read_matching(stored, name, "id", ids):
        yield SampleLocation(stored.handle, state, stored.file(name), row, stored)


def _find_in_sources(models_uri: str, handle: str, ids: Collection[int]) -> Iterator[SampleLocation]:
    if not ids:
        return
    outline = load_outline(models_uri, handle)
    # ``find_authored`` has an index: the sources are read only if they have such a sample.
    for _, source, seed in walk_seeds(models_uri, outline) if find_authored(models_uri, outline, ids) else ():
        if make_id(handle, seed.trait, seed.text) in ids:
            row = make_own_row(handle, seed) | {"pole": seed.pole}
            yield SampleLocation(handle, "authored", source.locate(seed), row, is_added=source.path == ADDED_FILE)
