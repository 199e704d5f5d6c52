"""Finds samples by their ids, wherever they stand or stood: in a set of any status, or among a model's own samples.

Those that may go, attached ones and added ones, are taken off their model.
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

# Where there are several places, the first of these says most.
Standing = Literal["attached", "proposed", "authored", "removed", "replaced", "left out", "detached", "rejected"]


@dataclass(frozen=True, slots=True)
class SampleLocation:
    """Where a sample stands, or stood.

    Args:
        where: its file, of an author's own with the line.
        row: its columns, as the store has them; of an author's own, and of one removed, those that are known.
        stored: its set; None for an author's own.
        is_added: whether it is one of an author's own that was added over HTTP.
    """

    handle: str
    standing: Standing
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
        """Whether it may go: an attached one or an added one."""
        return self.standing == "attached" or self.is_added


def find_locations(
    models_uri: str, samples_uri: str, number: int, handle: str | None, run_id: str | None
) -> list[SampleLocation]:
    """All places of the sample of that id, the one that says most first: runs may have made one text more than once.

    An author's own are looked for where no set has it. Where no model or run is named, damage elsewhere stops nothing.

    Args:
        handle: looks at this model alone; None: at all.
        run_id: looks at this run's set alone; None: at all.

    Raises:
        InputError: there is no such sample, set or model. StoreError: what may have it cannot be read.
    """
    faults: list[StoreError] = []
    ids = _choose_possible([number])
    # One damaged set, or one model's mistakes, is no reason to say nothing of another's sample.
    passing_over = nullcontext if handle or run_id else partial(_pass_over, faults)
    places: list[SampleLocation] = []
    for stored in _list_sets(samples_uri, handle, run_id, passing_over):
        with passing_over():
            here = list(_find_rows(stored, ids)) or list(_find_left_out(stored, ids))
            places += here
            places += _list_in_file(stored, REJECTED, "rejected", ids)
    if not places and run_id is None:
        for name in [handle] if handle else list_handles(models_uri):
            with passing_over():
                places += _find_own(models_uri, name, ids)
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


def find_in_model(
    models_uri: str, samples_uri: str, handle: str, ids: Collection[int], pools: Sequence[Pool] = ("train",)
) -> list[SampleLocation]:
    """The places of samples in a model as it is: attached, removed from a set, or its author's own.

    One that is attached is not looked for among the authored ones.

    Raises:
        UnknownModelError, DefinitionError: there is no such model, or a file of it has mistakes.
        StoreError: something cannot be read.
    """
    places, wanted = list[SampleLocation](), _choose_possible(ids)
    for stored in (stored for pool in pools for stored in list_sets(samples_uri, handle, pool)):
        with passing_over_detached(stored):
            places += _find_rows(stored, wanted)
    attached = {place.number for place in places if place.is_removable}
    return [*places, *_find_own(models_uri, handle, wanted - attached)]


def list_touched(places: Collection[SampleLocation]) -> list[StoredSet]:
    """The attached sets that lose samples where those of some places are removed, each once."""
    return list({place.stored.folder: place.stored for place in places if place.stored and place.is_removable}.values())


def remove_samples(models_uri: str, handle: str, places: Collection[SampleLocation], removal: Removal) -> None:
    """Takes off what may go, set by set. The caller must keep runs out.

    Raises:
        InputError: a set is no longer attached. DefinitionError: the file of added samples has mistakes.
        StoreError: something cannot be read or written. What went before stays removed; the same again does the rest.
    """
    for stored in list_touched(places):
        remove_stored(stored, removal)
    if added := [place.number for place in places if place.is_added]:
        remove_added(models_uri, handle, added)


def list_corrected(stored: StoredSet) -> dict[int, int]:
    """The ids of texts that a person wrote in a set's review, each with that of the text in whose place it stands."""
    return {entry["id"]: entry["was"] for entry in stored.manifest.get("review", {}).get("corrected", ())}


def _choose_possible(ids: Iterable[int]) -> set[int]:
    return {number for number in ids if 0 <= number < MAX_ID}


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


def _find_rows(stored: StoredSet, ids: Collection[int]) -> Iterator[SampleLocation]:
    if stored.status != "rejected":
        yield from _list_in_file(stored, stored.rows_name, cast(Standing, stored.status), ids)
    for entry in stored.manifest.get("removals", ()):
        if entry["id"] in ids:
            yield SampleLocation(stored.handle, "removed", stored.file(MANIFEST), entry, stored)


def _find_left_out(stored: StoredSet, ids: Collection[int]) -> Iterator[SampleLocation]:
    """Yields the places of a sample that stands in a set's proposal alone, since a person has left it out."""
    if stored.status != "proposed":
        is_replaced = not set(list_corrected(stored).values()).isdisjoint(ids)
        yield from _list_in_file(stored, PROPOSED, "replaced" if is_replaced else "left out", ids)


def _list_in_file(stored: StoredSet, name: str, standing: Standing, ids: Collection[int]) -> Iterator[SampleLocation]:
    for row in read_matching(stored, name, "id", ids):
        yield SampleLocation(stored.handle, standing, stored.file(name), row, stored)


def _find_own(models_uri: str, handle: str, wanted: Collection[int]) -> Iterator[SampleLocation]:
    if not wanted:
        return
    outline = load_outline(models_uri, handle)
    # It keeps an index: places are looked for only where there are some.
    for _, source, seed in walk_seeds(models_uri, outline) if find_authored(models_uri, outline, wanted) else ():
        if make_id(handle, seed.trait, seed.text) in wanted:
            row = make_own_row(handle, seed) | {"pole": seed.pole}
            yield SampleLocation(handle, "authored", source.locate(seed), row, is_added=source.path == ADDED_FILE)
