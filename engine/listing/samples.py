"""Listing: the samples of a model page by page, authored ones first and then set by set, and how many there are.

A page costs what it shows, whatever the size of the model: it is read from where it begins. A position names the very
sample that comes next, so that a set which is attached or taken away between two pages moves no other sample.
"""

from collections.abc import Generator
from contextlib import closing
from itertools import islice

from engine.definitions.outline import Outline
from engine.listing.attached import count_attached, walk_attached
from engine.listing.authored import count_authored, walk_authored
from engine.listing.page import AttachedPosition, AuthoredPosition, ListedSample, Page, Position, SampleCount


def list_samples(
    models_uri: str,
    samples_uri: str,
    outline: Outline,
    trait_key: str | None = None,
    position: Position | None = None,
    limit: int = 100,
) -> Page:
    """At most ``limit`` samples: authored ones in the order of sources and lines, then by when their set was attached.

    Args:
        trait_key: lists the samples of this trait alone; None for all.
        position: where the page begins, as the page before it has it; None for the first page.

    Raises:
        DefinitionError: a line of a source that is met on the way is wrong, or a source cannot be found.
        StoreError: a source or a set cannot be read.
    """
    with closing(_walk_samples(models_uri, samples_uri, outline, trait_key, position)) as walk:
        found = list(islice(walk, limit + 1))
    following = found[limit][0] if len(found) > limit else None
    return Page(tuple(sample for _, sample in found[:limit]), following)


def count_samples(models_uri: str, samples_uri: str, outline: Outline) -> dict[str, SampleCount]:
    """How many samples each trait of the model has, by its key.

    Raises:
        DefinitionError, StoreError: as ``list_samples``, for any line.
    """
    authored = count_authored(models_uri, outline)
    attached = count_attached(samples_uri, outline.handle)
    none = SampleCount()
    return {trait.key: authored.get(trait.key, none) + attached.get(trait.key, none) for trait in outline.traits}


def _walk_samples(
    models_uri: str, samples_uri: str, outline: Outline, trait_key: str | None, position: Position | None
) -> Generator[tuple[Position, ListedSample], None, None]:
    if not isinstance(position, AttachedPosition):
        yield from walk_authored(models_uri, outline, trait_key, position or AuthoredPosition())
        position = AttachedPosition()
    yield from walk_attached(samples_uri, outline.handle, trait_key, position)
