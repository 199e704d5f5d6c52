"""Add samples to a model and remove them: ``added.jsonl`` in the model's folder, which nobody edits by hand.

The caller holds the model's slot, so that no run works on the model at the same time. It adds inside ``lock_model`` of
the store, so that no run of another Prefect server attaches the same texts. ``append_lines`` serves authors too.
"""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache

import numpy as np

from engine.definitions.loader import list_sample_files, load_outline, locate_model
from engine.definitions.outline import ADDED_FILE, Outline, list_sources, make_added_source
from engine.definitions.sources.entries import Source, Version, read_version, walk_source
from engine.definitions.sources.tables import SOURCE_URL
from engine.definitions.yaml_document import read_authored
from engine.domain.model import Seed
from engine.domain.samples import make_id
from engine.errors import SampleConflictError
from engine.store.index.rows import passing_over_detached, read_matching
from engine.store.store import list_sets
from engine.system.filesystem import lock_folder, open_folder, replace_file

# Longer than any text that a definition can request: 5,000 words, plus a tolerance of 50%.
MAX_TEXT_CHARACTERS = 64 * 1024
# The ids of a file's samples, ``int64`` of shape ``(samples,)``, and their qualities in the same order.
_Index = tuple[np.ndarray[tuple[int], np.dtype[np.int64]], np.ndarray[tuple[int], np.dtype[np.float64]]]


def add_samples(models_uri: str, samples_uri: str, handle: str, samples: Sequence[Seed]) -> list[int]:
    """Add samples to a model, all or none, and return their ids in order; existing samples are not added again.

    Args:
        samples: trait keys, and texts without surrounding space; ``place`` is ignored.

    Raises:
        SampleConflictError: a text has another quality for its trait, in the model or among the samples.
        DefinitionError: a file of the definition, or of its samples, has mistakes.
        StoreError: a file cannot be read or written; nothing was added.
    """
    outline = load_outline(models_uri, handle)
    with lock_folder(*open_folder(locate_model(models_uri, handle))):
        new = choose_new(models_uri, samples_uri, outline, samples)
        if new:
            # One line per sample, so that each sample can be removed on its own.
            append_lines(models_uri, handle, make_added_source(outline), [[sample] for sample in new])
    return [make_id(handle, sample.trait, sample.text) for sample in samples]


def append_lines(models_uri: str, handle: str, source: Source, lines: Iterable[Sequence[Seed]]) -> None:
    """Append lines to a JSONL source, each with the labels of one text; the caller has locked the model's folder.

    Raises:
        DefinitionError, StoreError: the file cannot be read or written; nothing was added.
    """
    fields = {trait.key: field for field, trait in source.mapping.items() if trait}
    before = read_authored(models_uri, handle, source.path) or b""
    written = [before, b"\n" if before and not before.endswith(b"\n") else b""]
    for seeds in lines:
        url = seeds[0].source_url
        labels = {fields[seed.trait]: seed.quality for seed in seeds}
        entry = {source.column: seeds[0].text} | ({} if url is None else {SOURCE_URL: url}) | labels
        written.append(json.dumps(entry, ensure_ascii=False).encode() + b"\n")
    replace_file(f"{locate_model(models_uri, handle)}/{source.path}", b"".join(written))


def choose_new(models_uri: str, samples_uri: str, outline: Outline, samples: Sequence[Seed]) -> list[Seed]:
    """Return the samples that the model does not have yet, each once; writes nothing.

    Raises:
        SampleConflictError, DefinitionError, StoreError: as ``add_samples``.
    """
    ids = [make_id(outline.handle, sample.trait, sample.text) for sample in samples]
    known = find_authored(models_uri, outline, ids)
    for stored in list_sets(samples_uri, outline.handle, "train"):
        with passing_over_detached(stored):
            for row in read_matching(stored, stored.rows_name, "id", ids):
                known[row["id"]].add(row["quality"])
    new = []
    for index, (number, sample) in enumerate(zip(ids, samples, strict=True)):
        qualities = known[number]
        if qualities and sample.quality not in qualities:
            listed = " and ".join(f"{quality:g}" for quality in sorted(qualities))
            raise SampleConflictError(
                f"Sample {index}: its text has the quality {listed} for {sample.trait} already, not {sample.quality:g}",
                index,
            )
        if not qualities:
            qualities.add(sample.quality)
            new.append(sample)
    return new


def find_authored(models_uri: str, outline: Outline, ids: Collection[int]) -> defaultdict[int, set[float]]:
    """Return the qualities of authored and added samples, by id, for some ids.

    A sample has several qualities if an author has labelled one text twice.

    Raises:
        DefinitionError, StoreError: as ``add_samples``.
    """
    folder = locate_model(models_uri, outline.handle)
    requested = np.fromiter(ids, np.int64, len(ids))
    matches: defaultdict[int, set[float]] = defaultdict(set)
    for source in list_sources(outline, list_sample_files(folder)):
        known, qualities = _read_index(folder, outline.handle, source, read_version(folder, source))
        for position in np.flatnonzero(np.isin(known, requested)):
            matches[int(known[position])].add(float(qualities[position]))
    return matches


def remove_added(models_uri: str, handle: str, ids: Collection[int]) -> frozenset[int]:
    """Remove added samples, and return the ids of the removed samples.

    The line of a sample is blanked, so that later lines keep their numbers and paging through a listing stays correct.
    A line with several labels, which only a person writes, is blanked when all its labels are to be removed.

    Raises:
        DefinitionError: the definition, or a line of added samples, has mistakes.
        StoreError: the file cannot be read or written; nothing was removed.
    """
    outline, folder, requested = load_outline(models_uri, handle), locate_model(models_uri, handle), frozenset(ids)
    with lock_folder(*open_folder(folder)):
        content = read_authored(models_uri, handle, ADDED_FILE) or b""
        lines = content.split(b"\n")
        removed: set[int] = set()
        for line in walk_source(folder, make_added_source(outline)) if content else ():
            line_ids = {make_id(handle, seed.trait, seed.text) for seed in line.seeds}
            if line_ids and line_ids <= requested:
                lines[line.number - 1] = b" " * len(lines[line.number - 1])
                removed |= line_ids
        if removed:
            # One byte more: counts are cached by the file's time and size, and a store's times may be whole seconds.
            replace_file(f"{folder}/{ADDED_FILE}", b"\n".join(lines) + b"\n")
    return frozenset(removed)


@lru_cache(maxsize=64)
def _read_index(folder: str, handle: str, source: Source, _version: Version) -> _Index:
    seeds = [seed for line in walk_source(folder, source) for seed in line.seeds]
    ids = (make_id(handle, seed.trait, seed.text) for seed in seeds)
    return np.fromiter(ids, np.int64, len(seeds)), np.array([seed.quality for seed in seeds], np.float64)
