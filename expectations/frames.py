"""The frames that the gate reads, in which stored rows stand without their texts: a model may have a million."""

import json
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import pyarrow as pa

from engine.asking.held_out import choose_pool, find_overlaps, list_other_pools
from engine.domain.model import Model, Seed, SynthType
from engine.domain.samples import Row, make_id
from engine.store.earlier.samples import StoredSamples, as_stored
from engine.store.earlier.search import find_nearest, match_stored, share_runs
from engine.text.near_duplicates import APART, NEAR, Match, NearTexts, choose_nearest, find_pairs

# Stands for the text of a stored row that nothing is to be said of.
STORED_TEXT = "(in the store)"

_TEXT = pa.string()


# A row's text, and the other text that it is near to.
_Near = tuple[str, Match]


def make_whole_frame(model: Model, rows: Sequence[Row]) -> pd.DataFrame:
    """Makes a frame of all samples that the model would have: ``trait``, ``text``, ``quality`` and ``origin``.

    ``origin`` is ``authored``, ``attached`` or ``run``. ``near`` is the text that a row is a near duplicate of, or
    null, and ``similarity`` their Jaccard index. Of attached rows only those have their text that are one; the others
    have ``STORED_TEXT``.
    """
    attached, seeds = as_stored(model.attached), model.seeds
    begins, ends = len(seeds), len(seeds) + len(attached)
    new = _find_new([str(row["text"]) for row in rows], [seed.text for seed in seeds], attached)
    near = _find_old(seeds, attached) | {ends + number: item for number, item in new.items()}
    stored = {number - begins: text for number, (text, _) in near.items() if begins <= number < ends}
    similarity = np.zeros(ends + len(rows))
    similarity[list(near)] = [match.similarity for _, match in near.values()]
    return pd.DataFrame(
        {
            "trait": _join([seed.trait for seed in seeds], attached.columns["trait"], [row["trait"] for row in rows]),
            "text": _join(
                [seed.text for seed in seeds],
                _spread(stored, len(attached), STORED_TEXT),
                [row["text"] for row in rows],
            ),
            "quality": np.concatenate(
                [[seed.quality for seed in seeds], attached.columns["quality"], [row["quality"] for row in rows]]
            ),
            "origin": _repeat(("authored", "attached", "run"), (begins, len(attached), len(rows))),
            "near": _join(_spread({number: match.text for number, (_, match) in near.items()}, ends + len(rows))),
            "similarity": similarity,
        }
    )


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
    old = {len(attached) + row: found for row, found in _find_old_overlaps(authored, held_out).items()}
    new = find_overlaps(texts, list_other_pools(model, synth_type))
    in_store, begins = len(attached) + len(held_out), len(authored)
    traits = held_out.columns["trait"]
    overlaps = {}
    for row, (text, overlap) in old.items():
        number = make_id(model.handle, traits[row - len(attached)].as_py(), text)
        overlaps[begins + row] = f"id {number}, {overlap.detail}"
    overlaps |= {begins + in_store + number: new[text].detail for number, text in enumerate(texts) if text in new}
    return pd.DataFrame(
        {
            "text": _join(
                authored,
                _spread({row: text for row, (text, _) in old.items()}, in_store, STORED_TEXT),
                [row["text"] for row in rows],
            ),
            "subject": _join(
                [""] * begins,
                attached.columns["subject"],
                held_out.columns["subject"],
                [json.loads(row["scenario"]).get("subject", "") for row in rows],
            ),
            "side": _repeat(("train", "eval", side), (begins + len(attached), len(held_out), len(rows))),
            "origin": _repeat(("authored", "attached", "run"), (begins, in_store, len(rows))),
            "overlap": _join(_spread(overlaps, begins + in_store + len(rows))),
        }
    )


def _find_new(texts: Sequence[str], authored: Sequence[str], attached: StoredSamples) -> dict[int, _Near]:
    """Finds the new texts that are near to an authored, an attached or an earlier new one, whatever their traits."""
    seen, stored = NearTexts(), find_nearest(texts, attached.texts)
    for text in authored:
        seen.add(text)
    found = {}
    for number, text in enumerate(texts):
        if match := choose_nearest(seen.find(text), stored.get(text)):
            found[number] = text, match
        seen.add(text)
    return found


def _find_old(authored: Sequence[Seed], attached: StoredSamples) -> dict[int, _Near]:
    """Finds the authored and attached texts that are near to an earlier one of their trait, by their position.

    Authored texts come first. Attached ones are held against those alone: the gate of each set has held it against the
    sets before it.
    """
    found: dict[int, _Near] = {}
    traits: dict[str, list[int]] = {}
    for number, seed in enumerate(authored):
        traits.setdefault(seed.trait, []).append(number)
    for numbers in traits.values():
        for place, match in find_pairs(authored[number].text for number in numbers):
            found[numbers[place]] = authored[numbers[place]].text, match
    for item in match_stored([seed.text for seed in authored], attached.texts, NEAR):
        seed, place = authored[item.query], len(authored) + item.row
        is_nearer = place not in found or item.similarity > found[place][1].similarity
        if is_nearer and attached.columns["trait"][item.row].as_py() == seed.trait:
            found[place] = item.text, Match(seed.text, item.similarity)
    return found


def _find_old_overlaps(authored: Sequence[str], held_out: StoredSamples) -> dict[int, _Near]:
    """Finds the held-out texts that overlap with an authored one: text and overlap by their position.

    The gate of each set has held it against those of the other pool.
    """
    unique = list(dict.fromkeys(authored))
    runs: dict[int, tuple[str, dict[tuple[str, ...], str]]] = {}
    for shared in share_runs(unique, held_out.texts):
        own = runs.setdefault(shared.row, (shared.text, {}))[1]
        own |= dict.fromkeys(shared.runs, unique[shared.query])
    found = {row: (text, Match(others[min(others)], 0.0)) for row, (text, others) in runs.items()}
    for item in match_stored(unique, held_out.texts, APART):
        if item.row not in found or item.similarity > found[item.row][1].similarity:
            found[item.row] = item.text, Match(unique[item.query], item.similarity)
    return found


def _join(*parts: Sequence[str | None] | pa.ChunkedArray) -> "pd.Series[str]":
    """Joins values in memory and columns of the store; each different text is held once."""
    columns = [
        part if isinstance(part, pa.ChunkedArray) else pa.chunked_array([pa.array(part, _TEXT)]) for part in parts
    ]
    chunks = [chunk for column in columns for chunk in column.cast(_TEXT).chunks]
    joined: pd.Series[str] = pa.chunked_array(chunks, _TEXT).dictionary_encode().unify_dictionaries().to_pandas()
    return joined


def _spread(values: Mapping[int, str], rows: int, rest: str | None = None) -> list[str | None]:
    """Puts texts at their positions among so many rows, and ``rest`` at the others."""
    return [values.get(number, rest) for number in range(rows)]


def _repeat(names: Sequence[str], counts: Sequence[int]) -> "pd.Series[str]":
    """Names so many rows by each of the names."""
    return pd.Series(np.repeat(np.array(names, dtype=object), counts), dtype="category")
