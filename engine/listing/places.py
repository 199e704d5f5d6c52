"""Finds where the samples of some ids stand, and takes off a model those that may go: attached ones and added ones."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from engine.definitions.loader import load_outline, locate_model
from engine.definitions.outline import ADDED_FILE, list_sources
from engine.definitions.sources.entries import Source, walk_source
from engine.domain.model import Pool, Seed
from engine.domain.samples import make_id
from engine.store.added_samples import find_authored, remove_added
from engine.store.changes import MAX_ID, Removal, remove_stored
from engine.store.earlier.rows import find_rows
from engine.store.store import StoredSet, list_sets


@dataclass(frozen=True, slots=True)
class Places:
    """Where the samples of wanted ids stand.

    Args:
        attached: in which sets, with their ids.
        removed: by id the run in whose set they stood until they were removed.
        added: in the file of added samples.
        authored: in a file that an author wrote, with its line, by id.
        unknown: nowhere, as wanted.
    """

    attached: tuple[tuple[StoredSet, tuple[int, ...]], ...]
    removed: Mapping[int, str]
    added: frozenset[int]
    authored: Mapping[int, str]
    unknown: tuple[int, ...]

    @property
    def removable(self) -> frozenset[int]:
        """The ids of those that may go."""
        return self.added.union(*(own for _, own in self.attached))


def find_places(
    models_uri: str, samples_uri: str, handle: str, ids: Sequence[int], pools: Sequence[Pool] = ("train",)
) -> Places:
    """Where the samples of some ids stand. A sample of a set is not looked for among the authored ones too.

    Raises:
        UnknownModelError, DefinitionError: there is no such model, or a file of it has mistakes.
        StoreError: something cannot be read.
    """
    left = {number for number in ids if 0 <= number < MAX_ID}
    attached: list[tuple[StoredSet, tuple[int, ...]]] = []
    removed: dict[int, str] = {}
    for stored in (stored for pool in pools for stored in list_sets(samples_uri, handle, pool)):
        removed |= {entry["id"]: stored.run_id for entry in stored.manifest.get("removals", ()) if entry["id"] in ids}
        if own := [row["id"] for row in find_rows(stored, left, ["id"])]:
            attached.append((stored, tuple(own)))
    there = {number for _, own in attached for number in own}
    removed = {number: run for number, run in removed.items() if number not in there}
    added, authored = set[int](), dict[int, str]()
    for number, source, seed in walk_authored(models_uri, handle, left - there) if left - there else ():
        if source.path == ADDED_FILE:
            added.add(number)
        else:
            authored.setdefault(number, source.locate(seed))
    known = there | added | authored.keys() | removed.keys()
    unknown = tuple(number for number in dict.fromkeys(ids) if number not in known)
    return Places(tuple(attached), removed, frozenset(added), authored, unknown)


def remove_samples(models_uri: str, handle: str, places: Places, removal: Removal) -> None:
    """Takes off what may go, set by set. The caller must keep runs out.

    Raises:
        InputError: a set is no longer attached. DefinitionError: the file of added samples has mistakes.
        StoreError: something cannot be read or written. What went before stays removed; the same again does the rest.
    """
    for stored, _ in places.attached:
        remove_stored(stored, removal)
    if places.added:
        remove_added(models_uri, handle, places.added)


def walk_authored(models_uri: str, handle: str, wanted: Collection[int]) -> Iterator[tuple[int, Source, Seed]]:
    """Yields the authored samples of the wanted ids, added ones too, each with its id and source.

    Raises:
        UnknownModelError, DefinitionError, StoreError: as ``find_places``.
    """
    outline, folder = load_outline(models_uri, handle), locate_model(models_uri, handle)
    # It keeps an index: places are looked for only where there are some.
    for source in list_sources(folder, outline) if find_authored(models_uri, outline, wanted) else ():
        for seed in (seed for line in walk_source(folder, source) for seed in line.seeds):
            if (number := make_id(handle, seed.trait, seed.text)) in wanted:
                yield number, source, seed
