"""Reads authored samples from their sources line by line, for a page of a listing or to count them."""

from collections import defaultdict
from collections.abc import Iterator
from functools import lru_cache

from engine.definitions.loader import locate_model
from engine.definitions.outline import Outline
from engine.definitions.sources.entries import Source
from engine.definitions.sources.files import Version, list_sources, read_version, walk_source
from engine.domain.model import Seed, digest_text
from engine.domain.samples import make_id
from engine.listing.page import AuthoredPosition, ListedSample, SampleCount

PROVENANCE = "authored"


def walk_authored(
    models_uri: str, outline: Outline, trait_key: str | None, start: AuthoredPosition
) -> Iterator[tuple[AuthoredPosition, ListedSample]]:
    """Yields the authored samples of a model, or of one trait, from a position on, each with its position.

    Raises:
        DefinitionError: a line that was read is wrong, or a source cannot be found.
        StoreError: a source cannot be read.
    """
    folder = locate_model(models_uri, outline.handle)
    for index, source in enumerate(list_sources(folder, outline)[start.source :], start.source):
        if trait_key is not None and trait_key not in source.trait_keys:
            continue
        here = start if index == start.source else AuthoredPosition(index)
        for line in walk_source(folder, source, here.line):
            first = here.label if line.number == here.line else 0
            for label, seed in enumerate(line.seeds):
                if label >= first and trait_key in (None, seed.trait):
                    position = AuthoredPosition(index, line.number, label)
                    yield position, _make_sample(outline.handle, seed)


def walk_seeds(models_uri: str, outline: Outline) -> Iterator[Seed]:
    """Yields all authored samples of a model in order.

    Raises:
        DefinitionError, StoreError: as ``walk_authored``.
    """
    folder = locate_model(models_uri, outline.handle)
    for source in list_sources(folder, outline):
        for line in walk_source(folder, source):
            yield from line.seeds


def count_authored(models_uri: str, outline: Outline) -> dict[str, SampleCount]:
    """The number of authored samples of each trait that has any, by trait key. Counts are cached until a file changes.

    Raises:
        DefinitionError: a line is wrong, or a source cannot be found.
        StoreError: a source cannot be read.
    """
    folder = locate_model(models_uri, outline.handle)
    counts: dict[str, SampleCount] = defaultdict(SampleCount)
    for source in list_sources(folder, outline):
        for trait, count in _count_source(folder, source, read_version(folder, source)):
            counts[trait] += count
    return dict(counts)


@lru_cache(maxsize=1024)
def _count_source(folder: str, source: Source, _version: Version) -> tuple[tuple[str, SampleCount], ...]:
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for line in walk_source(folder, source):
        for seed in line.seeds:
            count = counts[seed.trait]
            count[0] += 1
            count[1] += seed.pole == "positive"
            count[2] += seed.pole == "negative"
    return tuple((trait, SampleCount(*count)) for trait, count in counts.items())


def _make_sample(handle: str, seed: Seed) -> ListedSample:
    return ListedSample(
        id=make_id(handle, seed.trait, seed.text),
        trait=seed.trait,
        text=seed.text,
        quality=seed.quality,
        provenance=PROVENANCE,
        source_url=seed.source_url,
        content_sha256=digest_text(seed.text),
        created_at=None,
    )
