"""Lists the samples of a model page by page, authored ones and then set by set, counts them, and renders its card.

A page is read from its own position, so its cost does not grow with the model. A position names the sample that comes
next, so a set that is attached or detached between two pages does not shift any other sample.
"""

from collections import Counter
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path

from engine.definitions.loader import locate_model
from engine.definitions.outline import Outline, list_sources
from engine.definitions.sources.entries import Source, Version, read_version, walk_source
from engine.domain.model import POLES, Pole, Seed, digest_text
from engine.domain.samples import make_id
from engine.listing.attached import AttachedPosition, ListedSample, count_attached, walk_attached
from engine.text.formatting import render_markdown

CARD = Path(__file__).parent / "templates" / "model_card.md.jinja"
PROVENANCE = "authored"


@dataclass(frozen=True, slots=True)
class AuthoredPosition:
    """The position of an authored sample.

    ``source`` is the index of the model's source, ``line`` the number of its line from 1, and ``label`` the index of
    the label in the line.
    """

    source: int = 0
    line: int = 1
    label: int = 0


Position = AuthoredPosition | AttachedPosition


@dataclass(frozen=True, slots=True)
class Page:
    """Samples in order; ``next_position`` is the position of the sample after them, None on the last page."""

    samples: tuple[ListedSample, ...]
    next_position: Position | None


@dataclass(frozen=True, slots=True)
class SampleCount:
    """The number of samples of a trait: all, those of quality exactly 1, and those of quality exactly 0."""

    sample_count: int = 0
    positive_samples: int = 0
    negative_samples: int = 0


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
        DefinitionError, StoreError: as ``list_samples``; every line is read, once until its file changes.
    """
    folder = locate_model(models_uri, outline.handle)
    found = Counter[tuple[str, Pole | None]]()
    for source in list_sources(folder, outline):
        found.update(_count_source(folder, source, read_version(folder, source)))
    found.update(count_attached(samples_uri, outline.handle))
    counts = {}
    for key in (trait.key for trait in outline.traits):
        positive, negative = (found[key, pole] for pole in POLES)
        counts[key] = SampleCount(positive + negative + found[key, None], positive, negative)
    return counts


def render_model_card(outline: Outline, counts: Mapping[str, SampleCount]) -> str:
    """The card of a model, a markdown page that says what it judges; ``counts`` has an entry for each of its traits."""
    brief = {name.replace("_", " ").capitalize(): texts for name, texts in asdict(outline.brief).items() if texts}
    return render_markdown(CARD, model=outline, counts=counts, brief=brief)


def walk_seeds(models_uri: str, outline: Outline) -> Iterator[Seed]:
    """Yields all authored samples of a model in order.

    Raises:
        DefinitionError, StoreError: as ``list_samples``.
    """
    folder = locate_model(models_uri, outline.handle)
    for source in list_sources(folder, outline):
        for line in walk_source(folder, source):
            yield from line.seeds


def _walk_samples(
    models_uri: str, samples_uri: str, outline: Outline, trait_key: str | None, position: Position | None
) -> Generator[tuple[Position, ListedSample], None, None]:
    if not isinstance(position, AttachedPosition):
        yield from _walk_authored(models_uri, outline, trait_key, position or AuthoredPosition())
        position = AttachedPosition()
    yield from walk_attached(samples_uri, outline.handle, trait_key, position)


def _walk_authored(
    models_uri: str, outline: Outline, trait_key: str | None, start: AuthoredPosition
) -> Iterator[tuple[AuthoredPosition, ListedSample]]:
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


@lru_cache(maxsize=1024)
def _count_source(folder: str, source: Source, _version: Version) -> Counter[tuple[str, Pole | None]]:
    return Counter((seed.trait, seed.pole) for line in walk_source(folder, source) for seed in line.seeds)


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
