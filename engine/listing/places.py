"""Finds where the samples of some ids stand, and takes off a model those that may go: attached ones and added ones."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from engine.definitions.loader import load_outline, locate_model
from engine.definitions.outline import ADDED_FILE
from engine.definitions.sources.files import list_sources, names_added, walk_source
from engine.domain.model import Pool
from engine.domain.samples import make_id
from engine.errors import InputError
from engine.store.added_samples import find_authored, remove_added
from engine.store.removal import MAX_ID, FoundSamples, Removal, find_samples, remove_stored


@dataclass(frozen=True, slots=True)
class Places:
    """Where the samples of wanted ids stand.

    Args:
        stored: in which sets, or in which they stood until they were removed.
        added: in the file of added samples.
        authored: in a file that an author wrote, with its line, by id.
        unknown: nowhere, as wanted.
    """

    stored: FoundSamples
    added: frozenset[int]
    authored: Mapping[int, str]
    unknown: tuple[int, ...]

    @property
    def removable(self) -> frozenset[int]:
        """The ids of those that may go."""
        return self.stored.ids | self.added


def find_places(
    models_uri: str, samples_uri: str, handle: str, ids: Sequence[int], pools: Sequence[Pool] = ("train",)
) -> Places:
    """Where the samples of some ids stand. A sample of a set is not looked for among the authored ones too.

    Raises:
        UnknownModelError, DefinitionError: there is no such model, or a file of it has mistakes.
        StoreError: something cannot be read.
    """
    stored = find_samples(samples_uri, handle, ids, pools)
    left = {number for number in ids if number not in stored.ids}
    added: set[int] = set()
    authored: dict[int, str] = {}
    if left:
        _find_authored(models_uri, handle, left, added, authored)
    known = stored.ids | added | authored.keys() | stored.removed.keys()
    unknown = tuple(number for number in dict.fromkeys(ids) if number not in known)
    return Places(stored, frozenset(added), authored, unknown)


def remove_samples(models_uri: str, handle: str, places: Places, removal: Removal) -> None:
    """Takes off what may go, set by set. The caller must keep runs out.

    Raises:
        InputError: a set is no longer attached. DefinitionError: the file of added samples has mistakes.
        StoreError: something cannot be read or written. What went before stays removed; the same again does the rest.
    """
    for stored, _ in places.stored.attached:
        if not remove_stored(stored, removal):
            raise InputError(f"The set of run {stored.run_id} is no longer attached: another process has detached it")
    if places.added:
        remove_added(models_uri, handle, places.added)


def _find_authored(
    models_uri: str, handle: str, wanted: Collection[int], added: set[int], authored: dict[int, str]
) -> None:
    """Adds the wanted ids that are authored to ``added``, or to ``authored`` with their places."""
    outline, folder = load_outline(models_uri, handle), locate_model(models_uri, handle)
    in_range = [number for number in wanted if 0 <= number < MAX_ID]
    # It keeps an index: places are looked for only where there are some.
    if not find_authored(models_uri, outline, in_range):
        return
    for source in list_sources(folder, outline):
        is_added = source.path == ADDED_FILE and not names_added(outline)
        for seed in (seed for line in walk_source(folder, source) for seed in line.seeds):
            number = make_id(handle, seed.trait, seed.text)
            if number in wanted and is_added:
                added.add(number)
            elif number in wanted:
                authored.setdefault(number, source.locate(seed))
