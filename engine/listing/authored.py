"""Reads authored samples from their source files line by line, for a page of a listing or to count them."""

import io
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

import pyarrow as pa

from engine.definitions.loader import locate_model
from engine.definitions.outline import Outline, Source
from engine.definitions.sources import FILE_START, Line, LinePosition, walk_csv, walk_jsonl
from engine.domain.model import Seed, digest_text
from engine.domain.samples import make_id
from engine.errors import DefinitionError, StoreError
from engine.listing.page import AuthoredPosition, ListedSample, SampleCount
from engine.system.filesystem import OutsideFolderError, locate_inside, open_folder

PROVENANCE = "authored"
BUFFER_BYTES = 64 * 1024


def walk_authored(
    models_uri: str, outline: Outline, trait_key: str | None, start: AuthoredPosition
) -> Iterator[tuple[AuthoredPosition, ListedSample]]:
    """Yields the authored samples of a model, or of one trait, from a position on, each with its position.

    Raises:
        DefinitionError: a line that was read is wrong, or a source cannot be found.
        StoreError: a source cannot be read.
    """
    folder = locate_model(models_uri, outline.handle)
    for index, source in enumerate(outline.sources[start.source :], start.source):
        if trait_key is not None and trait_key not in {trait.key for trait in source.mapping.values() if trait}:
            continue
        here = start if index == start.source else AuthoredPosition(index)
        for line in _walk_source(folder, source, LinePosition(here.offset, here.line)):
            first = here.label if line.position.line == here.line else 0
            for label, seed in enumerate(line.seeds):
                if label >= first and trait_key in (None, seed.trait):
                    position = AuthoredPosition(index, line.position.offset, line.position.line, label)
                    yield position, _make_sample(outline.handle, seed)


def walk_seeds(models_uri: str, outline: Outline) -> Iterator[Seed]:
    """Yields all authored samples of a model in order.

    Raises:
        DefinitionError, StoreError: as ``walk_authored``.
    """
    folder = locate_model(models_uri, outline.handle)
    for source in outline.sources:
        for line in _walk_source(folder, source, FILE_START):
            yield from line.seeds


def count_authored(models_uri: str, outline: Outline) -> dict[str, SampleCount]:
    """The number of authored samples of each trait that has any, by trait key. Counts are cached until a file changes.

    Raises:
        DefinitionError: a line is wrong, or a source cannot be found.
        StoreError: a source cannot be read.
    """
    folder = locate_model(models_uri, outline.handle)
    counts: dict[str, SampleCount] = defaultdict(SampleCount)
    for source in outline.sources:
        with _explain(source):
            filesystem, path = open_folder(locate_inside(folder, source.path))
            info = filesystem.get_file_info(path)
        for trait, count in _count_source(folder, source, info.mtime_ns, info.size):
            counts[trait] += count
    return dict(counts)


@lru_cache(maxsize=1024)
def _count_source(
    folder: str, source: Source, _mtime_ns: int | None, _size: int | None
) -> tuple[tuple[str, SampleCount], ...]:
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for line in _walk_source(folder, source, FILE_START):
        for seed in line.seeds:
            count = counts[seed.trait]
            count[0] += 1
            count[1] += seed.pole == "positive"
            count[2] += seed.pole == "negative"
    return tuple((trait, SampleCount(*count)) for trait, count in counts.items())


def _walk_source(folder: str, source: Source, start: LinePosition) -> Iterator[Line]:
    walk = walk_jsonl if source.type == "jsonl" else walk_csv
    with _explain(source):
        filesystem, path = open_folder(locate_inside(folder, source.path))
        with io.BufferedReader(filesystem.open_input_file(path), BUFFER_BYTES) as stream:
            for line in walk(source.name, stream, source.mapping, start):
                if line.problems:
                    raise DefinitionError(source.name, line.problems)
                yield line


@contextmanager
def _explain(source: Source) -> Iterator[None]:
    """Translates errors of a source's file, with the same messages as when the definition is loaded."""
    try:
        yield
    except (OutsideFolderError, FileNotFoundError) as error:
        problem = source.explain(error)
        raise DefinitionError(problem.file, [problem]) from error
    except (OSError, pa.ArrowException) as error:
        raise StoreError(f"{source.name} cannot be read: {error}") from error


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
