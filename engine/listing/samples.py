"""Lists the samples of a model page by page, authored ones and then set by set, counts them, and renders its card.

A page is read from its own position, so its cost does not grow with the model. A position names the sample that comes
next, so a set that is attached or detached between two pages does not shift any other sample.

Sets come in the order in which they were attached, by their manifests: ``created_at`` says when a run was due, and one
that waited or was retried was due before runs that attached theirs earlier. Samples may be removed from a set between
two pages: a row keeps the number that it had when its set was attached.
"""

from collections import Counter
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import lru_cache
from itertools import chain, islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.definitions.loader import list_sample_files, locate_model
from engine.definitions.outline import Outline, list_sources
from engine.definitions.sources.entries import Source, Version, read_version, walk_source
from engine.domain.model import POLES, Pole, Seed
from engine.domain.samples import make_own_row
from engine.store.changes import number_rows
from engine.store.index.rows import open_rows, passing_over_detached
from engine.store.sample_set import ATTACHED_NS, GROUP_ROWS
from engine.store.store import StoredSet, list_sets
from engine.text.formatting import render_markdown

CARD = Path(__file__).parent / "templates" / "model_card.md.jinja"
COLUMNS = ["id", "trait", "text", "quality", "provenance", "content_sha256", "created_at"]
# To make Python values of rows is most of the cost, and a page may end early in a batch.
BATCH_ROWS = 128


@dataclass(frozen=True, slots=True)
class ListedSample:
    """A text with its quality in [0, 1] for one trait, which is given by its key (the platform's contract, section 3).

    ``id`` has 53 bits; the same text for the same trait has the same id, even if it is authored twice.
    ``created_at`` is in UTC, and None for authored samples.
    """

    id: int
    trait: str
    text: str
    quality: float
    provenance: str
    source_url: str | None
    content_sha256: str
    created_at: datetime | None


# Where a sample stands. An authored one: the index of its source, the number of its line from 1, and the index of the
# label in the line; an attached one: when its set was attached (ns since 1970), the set's run id, and the row.
Position = tuple[Literal["a"], int, int, int] | tuple[Literal["s"], int, str, int]
FIRST: tuple[Literal["a"], int, int, int] = ("a", 0, 1, 0)
FIRST_ATTACHED = (0, "", 0)


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
    position: Position = FIRST,
    limit: int = 100,
) -> Page:
    """A page of at most ``limit`` samples: authored ones by source and line, then attached ones by time of attachment.

    Args:
        trait_key: lists the samples of this trait only; None for all.
        position: ``next_position`` of the page before.

    Raises:
        DefinitionError: a line that was read is wrong, or a source cannot be found.
        StoreError: a source or a set cannot be read.
    """
    start = position[1:] if position[0] == "s" else FIRST_ATTACHED
    with (
        closing(_walk_authored(models_uri, outline, trait_key, position)) as authored,
        closing(walk_attached(samples_uri, outline.handle, trait_key, start)) as attached,
    ):
        found = list(islice(chain(authored, attached), limit + 1))
    following = found[limit][0] if len(found) > limit else None
    return Page(tuple(sample for _, sample in found[:limit]), following)


def count_samples(models_uri: str, samples_uri: str, outline: Outline) -> dict[str, SampleCount]:
    """The number of samples of each trait of the model, by trait key, 0 included.

    Raises:
        DefinitionError, StoreError: as ``list_samples``; every line is read, once until its file changes.
    """
    folder = locate_model(models_uri, outline.handle)
    found = Counter[tuple[str, Pole | None]]()
    for source in list_sources(outline, list_sample_files(folder)):
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


def walk_seeds(
    models_uri: str, outline: Outline, trait_key: str | None = None, start: tuple[int, int, int] = FIRST[1:]
) -> Iterator[tuple[tuple[int, int, int], Source, Seed]]:
    """Yields the authored samples of a model, or of one trait, from a position on, each with that and its source.

    Raises:
        DefinitionError, StoreError: as ``list_samples``.
    """
    folder = locate_model(models_uri, outline.handle)
    for index, source in enumerate(list_sources(outline, list_sample_files(folder))):
        if index < start[0] or trait_key not in (None, *source.trait_keys):
            continue
        for line in walk_source(folder, source, start[1] if index == start[0] else 1):
            for label, seed in enumerate(line.seeds):
                place = index, line.number, label
                if place >= start and trait_key in (None, seed.trait):
                    yield place, source, seed


def walk_attached(
    samples_uri: str, handle: str, trait_key: str | None, start: tuple[int, str, int]
) -> Generator[tuple[Position, ListedSample], None, None]:
    """Yields the attached samples of a model, or of one trait, from a position on, each with its position.

    A set that is detached in the meantime is skipped; the listing continues with the next set.

    Raises:
        StoreError: a set cannot be read.
    """
    for stored in sorted(list_sets(samples_uri, handle, "train"), key=_find_place):
        place = _find_place(stored)
        if place < start[:2] or trait_key not in (None, *stored.manifest["counts"]):
            continue
        first = start[2] if place == start[:2] else 0
        with passing_over_detached(stored):
            for row, entry in _walk_set(stored, first, trait_key):
                yield ("s", *place, row), ListedSample(**entry, source_url=None)


def count_attached(samples_uri: str, handle: str) -> Counter[tuple[str, Pole | None]]:
    """The number of attached samples by trait key and pole, from the manifests.

    Raises:
        StoreError: a folder or manifest cannot be read.
    """
    counts = Counter[tuple[str, Pole | None]]()
    for stored in list_sets(samples_uri, handle, "train"):
        for trait, poles in stored.manifest["counts"].items():
            counts.update({(trait, pole): count for pole, count in poles.items()})
    return counts


def _walk_authored(
    models_uri: str, outline: Outline, trait_key: str | None, position: Position
) -> Generator[tuple[Position, ListedSample], None, None]:
    if position[0] == "a":
        for place, _, seed in walk_seeds(models_uri, outline, trait_key, position[1:]):
            yield ("a", *place), ListedSample(**make_own_row(outline.handle, seed), created_at=None)


@lru_cache(maxsize=1024)
def _count_source(folder: str, source: Source, _version: Version) -> Counter[tuple[str, Pole | None]]:
    return Counter((seed.trait, seed.pole) for line in walk_source(folder, source) for seed in line.seeds)


def _find_place(stored: StoredSet) -> tuple[int, str]:
    return stored.manifest[ATTACHED_NS], stored.run_id


def _walk_set(stored: StoredSet, first: int, trait_key: str | None) -> Iterator[tuple[int, dict[str, Any]]]:
    with open_rows(stored) as parquet:
        numbers = number_rows(parquet.metadata.metadata, parquet.metadata.num_rows)
        # Whole row groups before the first row are not read.
        begun = int(np.searchsorted(numbers, first)) // GROUP_ROWS
        numbers, groups = numbers[begun * GROUP_ROWS :], range(begun, parquet.num_row_groups)
        for batch in parquet.iter_batches(BATCH_ROWS, row_groups=groups, columns=COLUMNS, use_threads=False):
            own, numbers = pa.array(numbers[: batch.num_rows]), numbers[batch.num_rows :]
            wanted = pc.greater_equal(own, first)
            if trait_key is not None:
                wanted = pc.and_(wanted, pc.equal(batch["trait"], trait_key))
            yield from zip(own.filter(wanted).to_pylist(), batch.filter(wanted).to_pylist(), strict=True)
