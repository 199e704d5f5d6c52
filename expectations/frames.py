"""The frames that the gate reads, in which stored rows stand without their texts: a model may have a million."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from engine.asking.held_out import (
    Overlap,
    OverlapIndex,
    choose_pool,
    list_other_pool_texts,
    make_overlap,
    make_run_overlap,
)
from engine.domain.model import Model, Seed, SynthType
from engine.domain.samples import Row
from engine.store.earlier.samples import COLUMNS, StoredSamples, as_stored
from engine.store.earlier.search import (
    JOINED_TEXTS,
    Numbers,
    StoredPair,
    StoredTexts,
    find_nearest,
    find_pairs_within,
    match_stored,
    share_runs,
)
from engine.text.near_duplicates import Match, NearTexts, choose_nearest, find_pairs
from engine.text.signatures import APART, NEAR

# Stands for the text of a stored row that nothing is to be said of.
STORED_TEXT = "(in the store)"
ORIGINS = ["authored", "attached", "run"]


@dataclass(frozen=True, slots=True)
class _Neighbour:
    """A row's text and the earlier text that it is near to; ``similarity`` is the Jaccard index, in [0, 1]."""

    text: str
    other: str
    similarity: float


def make_whole_frame(model: Model, rows: Sequence[Row]) -> pd.DataFrame:
    """Makes a frame of all samples that the model would have: ``trait``, ``text``, ``quality`` and ``origin``.

    ``origin`` is ``authored``, ``attached`` or ``run``. ``near`` is the text that a row is a near duplicate of, or
    null, and ``similarity`` their Jaccard index. Of attached rows only those have their text that are one; the others
    have ``STORED_TEXT``, for a stored set without a text is refused when it is opened.
    """
    attached, texts = as_stored(model.attached), [str(row["text"]) for row in rows]
    begins = len(model.seeds)
    near = dict(_find_old(model.seeds, attached))
    new = _find_new(texts, [seed.text for seed in model.seeds], attached)
    near |= {begins + len(attached) + number: item for number, item in new.items()}
    stored = {number: item.text for number, item in near.items() if begins <= number < begins + len(attached)}
    frame = pd.DataFrame(
        {
            "trait": _join_columns(
                [seed.trait for seed in model.seeds], attached.columns["trait"], [row["trait"] for row in rows]
            ),
            "text": _join_texts(
                [seed.text for seed in model.seeds], len(attached), stored, [row["text"] for row in rows]
            ),
            "quality": np.concatenate(
                [
                    np.array([seed.quality for seed in model.seeds], float),
                    attached.columns["quality"].to_numpy(),
                    np.array([row["quality"] for row in rows], float),
                ]
            ),
            "origin": _join_origins(begins, len(attached), len(rows)),
        }
    )
    return _add_neighbours(frame, near)


def make_sides_frame(model: Model, synth_type: SynthType, rows: Sequence[Row]) -> pd.DataFrame | None:
    """Makes a frame of the texts of both pools; returns None for a training run if nothing is held out.

    Columns: ``text``; ``subject``, empty if there is no scenario; ``side``, the pool of the text (``train`` or
    ``eval``); ``origin``, which is ``authored``, ``attached`` or ``run``; ``overlap``, what a row shares with the other
    side, or null. Of attached rows only those that share something have their text, the others ``STORED_TEXT``.
    """
    side = choose_pool(synth_type)
    if side == "train" and not model.held_out:
        return None
    authored = [seed.text for seed in model.authored]
    attached, held_out = as_stored(model.attached), as_stored(model.held_out)
    texts = [str(row["text"]) for row in rows]
    others = OverlapIndex(*list_other_pool_texts(model, synth_type))
    begins, ends = len(authored) + len(attached), len(authored) + len(attached) + len(held_out)
    old = {begins + row: found for row, found in _find_old_overlaps(authored, attached, held_out).items()}
    new = others.find_all(texts)
    overlaps = {number: overlap.detail for number, (_, overlap) in old.items()}
    overlaps |= {ends + number: new[text].detail for number, text in enumerate(texts) if text in new}
    stored = {number: text for number, (text, _) in old.items()}
    subjects = pa.chunked_array(
        [*attached.columns["subject"].chunks, *held_out.columns["subject"].chunks], COLUMNS.field("subject").type
    )
    counts = [begins, len(held_out), len(rows)]
    return pd.DataFrame(
        {
            "text": _join_texts(authored, len(subjects), stored, [row["text"] for row in rows]),
            "subject": _join_columns(
                [""] * len(authored), subjects, [json.loads(row["scenario"]).get("subject", "") for row in rows]
            ),
            "side": _name_codes(np.repeat([0, 1, ["train", "eval"].index(side)], counts), ["train", "eval"]),
            "origin": _join_origins(len(authored), len(subjects), len(rows)),
            "overlap": _spread(overlaps, ends + len(rows)),
        }
    )


def _find_new(texts: Sequence[str], authored: Sequence[str], attached: StoredSamples) -> dict[int, _Neighbour]:
    """Finds the new texts that are near to an authored, an attached or an earlier new one, whatever their traits."""
    old, new = NearTexts(), NearTexts()
    for text in authored:
        old.add("authored", text)
    stored = find_nearest(texts, attached.texts)
    found = {}
    for number, text in enumerate(texts):
        if match := choose_nearest(old.find(text), stored.get(text), new.find(text)):
            found[number] = _Neighbour(text, match.text, match.similarity)
        new.add("run", text)
    return found


def _find_old(authored: Sequence[Seed], attached: StoredSamples) -> Iterator[tuple[int, _Neighbour]]:
    """Yields the authored and attached texts that are near to an earlier one of their trait, by their position.

    Authored texts come first. Attached ones are held against each other only if no gate has done so, and once.
    """
    traits: dict[str, list[int]] = {}
    for number, seed in enumerate(authored):
        traits.setdefault(seed.trait, []).append(number)
    for numbers in traits.values():
        for key, match in find_pairs((str(number), authored[number].text) for number in numbers):
            yield int(key), _Neighbour(authored[int(key)].text, match.text, match.similarity)
    best: dict[int, tuple[str, Match]] = {}
    for item in match_stored([seed.text for seed in authored], attached.texts, NEAR):
        if attached.columns["trait"][item.row].as_py() == authored[item.query].trait:
            match = Match("authored", authored[item.query].text, item.similarity)
            best[item.row] = item.text, choose_nearest(best.get(item.row, ("", None))[1], match) or match

    def find_stored(texts: StoredTexts, _: StoredTexts, rows: Numbers) -> list[StoredPair]:
        return find_pairs_within(texts, attached.read_traits()[rows])

    for row, text, other, similarity in attached.texts.find_unchecked(attached.texts, find_stored):
        match = Match("attached", other, similarity)
        best[row] = text, choose_nearest(best.get(row, ("", None))[1], match) or match
    for row, (text, match) in best.items():
        yield len(authored) + row, _Neighbour(text, match.text, match.similarity)


def _add_neighbours(frame: pd.DataFrame, near: Mapping[int, _Neighbour]) -> pd.DataFrame:
    """Adds the columns ``near`` and ``similarity``, by the rows' positions."""
    similarity = np.zeros(len(frame))
    for number, item in near.items():
        similarity[number] = item.similarity
    return frame.assign(
        near=_spread({number: item.other for number, item in near.items()}, len(frame)), similarity=similarity
    )


def _find_old_overlaps(
    authored: Sequence[str], attached: StoredSamples, held_out: StoredSamples
) -> dict[int, tuple[str, Overlap]]:
    """Finds the held-out texts that overlap with an authored or an attached one: text and overlap by their position.

    Stored sets that a gate has held against each other have no overlap; of the others it is found once, and kept.
    """
    near: dict[int, tuple[str, Match]] = {}
    runs: dict[int, tuple[str, dict[tuple[str, ...], str]]] = {}
    unique = list(dict.fromkeys(authored))
    for item in match_stored(unique, held_out.texts, APART):
        match = Match(str(item.query), unique[item.query], item.similarity)
        near[item.row] = item.text, choose_nearest(near.get(item.row, ("", None))[1], match) or match
    for shared in share_runs(unique, held_out.texts):
        own = runs.setdefault(shared.row, (shared.text, {}))[1]
        own |= dict.fromkeys(shared.runs, unique[shared.query])
    found = {row: (text, make_overlap(match)) for row, (text, match) in near.items()}
    for row, (text, others) in runs.items():
        found.setdefault(row, (text, make_run_overlap(others[min(others)])))
    for row, text, other, similarity in held_out.texts.find_unchecked(attached.texts, _find_stored_overlaps):
        overlap = make_overlap(Match("", other, similarity)) if similarity else make_run_overlap(other)
        if row not in found or similarity > found[row][1].similarity:
            found[row] = text, overlap
    return found


def _find_stored_overlaps(texts: StoredTexts, others: StoredTexts, _: Numbers) -> list[StoredPair]:
    """Finds the stored texts that overlap with other stored ones: position, text, other text, and their similarity."""
    pairs: list[StoredPair] = []
    index = OverlapIndex((), others)
    for begins in range(0, len(texts), JOINED_TEXTS):
        read = texts.read(np.arange(begins, min(begins + JOINED_TEXTS, len(texts))))
        found = index.find_all(list(dict.fromkeys(read.values())))
        pairs += [(row, text, found[text].other, found[text].similarity) for row, text in read.items() if text in found]
    return pairs


def _join_columns(before: Sequence[str], stored: pa.ChunkedArray, after: Sequence[str]) -> "pd.Categorical[str]":
    """Joins values in memory, a dictionary-encoded column and more values."""
    parts = [pa.array(part, pa.string()).dictionary_encode() for part in (before, after)]
    joined = pa.chunked_array([parts[0], *stored.chunks, parts[1]], stored.type).unify_dictionaries().combine_chunks()
    array = joined.chunk(0) if isinstance(joined, pa.ChunkedArray) else joined
    return _name_codes(np.asarray(array.indices), array.dictionary.to_pylist())


def _join_texts(
    before: Sequence[str], stored: int, known: Mapping[int, str], after: Sequence[str | None]
) -> "pd.Categorical[str]":
    """Joins texts in memory with ``stored`` rows in the store; ``known`` are texts of those, by position in all."""
    names = {
        text: code
        for code, text in enumerate(dict.fromkeys([STORED_TEXT, *before, *known.values(), *filter(None, after)]))
    }
    codes = np.full(len(before) + stored + len(after), names[STORED_TEXT], np.int32)
    codes[: len(before)] = [names[text] for text in before]
    codes[len(before) + stored :] = [-1 if text is None else names[text] for text in after]
    for number, text in known.items():
        codes[number] = names[text]
    return _name_codes(codes, list(names))


def _join_origins(authored: int, attached: int, new: int) -> "pd.Categorical[str]":
    """Names the origin of each row: first the authored ones, then those in the store, then the run's."""
    return _name_codes(np.repeat([0, 1, 2], [authored, attached, new]), ORIGINS)


def _spread(values: Mapping[int, str], rows: int) -> "pd.Categorical[str]":
    """Puts texts at their positions in a column that is null elsewhere."""
    names = {text: code for code, text in enumerate(dict.fromkeys(values.values()))}
    codes = np.full(rows, -1, np.int32)
    for number, text in values.items():
        codes[number] = names[text]
    return _name_codes(codes, list(names))


def _name_codes(codes: np.ndarray[tuple[int], np.dtype[Any]], names: Sequence[str]) -> "pd.Categorical[str]":
    """Makes the column in which each code stands for its name, and -1 for null."""
    return pd.Categorical.from_codes(codes, pd.Index(list(names), dtype=str))
