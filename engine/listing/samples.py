"""Lists the samples of a model page by page, authored samples first and then set by set, and counts them.

A page is read from its own position, so its cost does not grow with the model. A position names the sample that comes
next, so a set that is attached or detached between two pages does not shift any other sample.
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
    """A page of at most ``limit`` samples: authored ones by source and line, then attached ones by time of attachment.

    Args:
        trait_key: lists the samples of this trait only; None for all.
        position: ``next_position`` of the page before; None for the first page.

    Raises:
        DefinitionError: a line that was read is wrong, or a source cannot be found.
        StoreError: a source or a set cannot be read.
    """
    with closing(_walk_samples(models_uri, samples_uri, outline, trait_key, position)) as walk:
        found = list(islice(walk, limit + 1))
    following = found[limit][0] if len(found) > limit else None
    return Page(tuple(sample for _, sample in found[:limit]), following)


def count_samples(models_uri: str, samples_uri: str, outline: Outline) -> dict[str, SampleCount]:
    """The number of samples of each trait of the model, by trait key, 0 included.

    Raises:
        DefinitionError, StoreError: as ``list_samples``; every line is read.
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
