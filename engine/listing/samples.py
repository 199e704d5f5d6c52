"""List the samples of a model in pages (authored samples, then set by set), count them, and render the model's card.

A page is read from its own position, so its cost does not grow with the model. A position names the next sample, so a
set that is attached or detached between two pages does not shift any other sample.

Sets are in the order of attachment, by their manifests. ``created_at`` is the time at which a run was due: a run that
waited or was retried has an earlier one than runs that attached before it. Samples may be removed from a set between
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
from engine.domain.definition import Pole
from engine.domain.model import POLES, Seed
from engine.domain.samples import make_own_row
from engine.store.changes import number_rows
from engine.store.index.rows import open_rows, passing_over_detached
from engine.store.sample_set import ATTACHED_NS, GROUP_ROWS
from engine.store.store import StoredSet, list_sets
from engine.text.formatting import render_markdown

CARD = Path(__file__).parent / "templates" / "model_card.md.jinja"
COLUMNS = ["id", "trait", "text", "quality", "provenance", "content_sha256", "created_at"]
# Conversion of rows to Python values is most of the cost, and a page may end early in a batch.
BATCH_ROWS = 128


@dataclass(frozen=True, slots=True)
class ListedSample:
    """A text with its quality in [0, 1] for a trait, given by its key (the platform's contract, section 3).

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


# The position of a sample. Authored: the index of its source, its line number from 1, and the index of the label in the
# line. Attached: the time at which its set was attached (ns since 1970), the set's run id, and the row number.
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
    """The number of samples of a trait: all, those with quality exactly 1, and those with quality exactly 0."""

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
    """Return at most ``limit`` samples: authored samples by source and line, then attached samples by attachment time.

    Args:
        trait_key: the trait whose samples are listed; None for all traits.
        position: ``next_position`` of the previous page.

    Raises:
        DefinitionError: a line that was read is wrong, or a source cannot be found.
        StoreError: a source or a set cannot be read.
    """
    start = position[1:] if position[0] == "s" else FIRST_ATTACHED
    with (
        closing(_walk_authored(models_uri, outline, trait_key, position)) as authored,
        closing(walk_attached(samples_uri, outline.handle, trait_key, start)) as attached,
    ):
        samples = list(islice(chain(authored, attached), limit + 1))
    next_position = samples[limit][0] if len(samples) > limit else None
    return Page(tuple(sample for _, sample in samples[:limit]), next_position)


def count_samples(models_uri: str, samples_uri: str, outline: Outline) -> dict[str, SampleCount]:
    """Count the samples of each trait of the model, by trait key, including traits without samples.

    Raises:
        DefinitionError, StoreError: as ``list_samples``; every line is read, and again only after its file changed.
    """
    folder = locate_model(models_uri, outline.handle)
    by_pole = Counter[tuple[str, Pole | None]]()
    for source in list_sources(outline, list_sample_files(folder)):
        by_pole.update(_count_source(folder, source, read_version(folder, source)))
    by_pole.update(count_attached(samples_uri, outline.handle))
    counts = {}
    for key in (trait.key for trait in outline.traits):
        positive, negative = (by_pole[key, pole] for pole in POLES)
        counts[key] = SampleCount(positive + negative + by_pole[key, None], positive, negative)
    return counts


def render_model_card(outline: Outline, counts: Mapping[str, SampleCount]) -> str:
    """Render a model's card, a markdown page on its traits and brief; ``counts`` has an entry for each trait."""
    brief = {name.replace("_", " ").capitalize(): texts for name, texts in asdict(outline.brief).items() if texts}
    return render_markdown(CARD, model=outline, counts=counts, brief=brief)


def walk_seeds(
    models_uri: str, outline: Outline, trait_key: str | None = None, start: tuple[int, int, int] = FIRST[1:]
) -> Iterator[tuple[tuple[int, int, int], Source, Seed]]:
    """Yield the authored samples of a model, or of one trait, from a position on, with their positions and sources.

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
    """Yield the attached samples of a model, or of one trait, from a position on, with their positions.

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
    """Count the attached samples by trait key and pole, from the manifests.

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
        skipped = int(np.searchsorted(numbers, first)) // GROUP_ROWS
        numbers, groups = numbers[skipped * GROUP_ROWS :], range(skipped, parquet.num_row_groups)
        for batch in parquet.iter_batches(BATCH_ROWS, row_groups=groups, columns=COLUMNS, use_threads=False):
            rows, numbers = pa.array(numbers[: batch.num_rows]), numbers[batch.num_rows :]
            selected = pc.greater_equal(rows, first)
            if trait_key is not None:
                selected = pc.and_(selected, pc.equal(batch["trait"], trait_key))
            yield from zip(rows.filter(selected).to_pylist(), batch.filter(selected).to_pylist(), strict=True)
