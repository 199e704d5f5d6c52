"""Build the frames that the gate reads. Stored rows come without their texts, because a model may have a million."""

import json
from collections.abc import Mapping, Sequence

import pandas as pd
import pyarrow as pa

from engine.asking.held_out import choose_pool, find_overlaps, list_other_pools
from engine.domain.model import Model, Seed, SynthType
from engine.domain.samples import Row, make_id
from engine.store.index.samples import StoredSamples, as_stored
from engine.store.index.search import find_nearest, match_stored, share_runs
from engine.text.near_duplicates import APART, NEAR, Match, NearTexts, choose_nearest, find_pairs

# Replaces the text of a stored row without a finding.
STORED_TEXT = "(in the store)"

_WHOLE = pa.schema([("trait", pa.string()), ("text", pa.string()), ("quality", pa.float64()), ("origin", pa.string())])
_SIDES = pa.schema([(name, pa.string()) for name in ("text", "subject", "side", "origin")])
# A row's text, and the match with a similar text.
_Near = tuple[str, Match]


def make_whole_frame(model: Model, rows: Sequence[Row]) -> pd.DataFrame:
    """Return a frame of all samples that the model would have: ``trait``, ``text``, ``quality`` and ``origin``.

    ``origin`` is ``authored``, ``attached`` or ``run``. ``near`` is the text that the row nearly duplicates, or null,
    and ``similarity`` their Jaccard index. Attached rows that nearly duplicate a text have their text; all further ones
    have ``STORED_TEXT``.
    """
    attached, seeds = as_stored(model.existing.attached), model.seeds
    begins, ends = len(seeds), len(seeds) + len(attached)
    new = _find_new([str(row["text"]) for row in rows], [seed.text for seed in seeds], attached)
    near = _find_old(seeds, attached) | {ends + number: item for number, item in new.items()}
    stored = {number - begins: text for number, (text, _) in near.items() if begins <= number < ends}
    frame = _join(
        _WHOLE,
        [{"trait": item.trait, "text": item.text, "quality": item.quality, "origin": "authored"} for item in seeds],
        {
            "trait": attached.columns["trait"],
            "text": _spread(stored, len(attached)),
            "quality": attached.columns["quality"],
            "origin": ["attached"] * len(attached),
        },
        [{**row, "origin": "run"} for row in rows],
    )
    texts = {number: match.text for number, (_, match) in near.items()}
    similarities = {number: match.similarity for number, (_, match) in near.items()}
    return frame.assign(
        near=pd.Series(texts, frame.index, dtype=object),
        similarity=pd.Series(similarities, frame.index, dtype=float).fillna(0.0),
    )


def make_sides_frame(model: Model, synth_type: SynthType, rows: Sequence[Row]) -> pd.DataFrame | None:
    """Return a frame of the texts of both pools; None for a training run if nothing is held out.

    Columns: ``text``; ``subject``, empty if there is no scenario; ``side``, the pool of the text (``train`` or
    ``eval``); ``origin``: ``authored``, ``attached`` or ``run``; ``overlap``, the text shared with the opposite side,
    or null. Attached rows with an overlap have their text, all further attached rows have ``STORED_TEXT``.
    """
    side = choose_pool(synth_type)
    if side == "train" and not model.existing.held_out:
        return None
    authored = [seed.text for seed in model.authored]
    attached, held_out = as_stored(model.existing.attached), as_stored(model.existing.held_out)
    texts = [str(row["text"]) for row in rows]
    old, new = _find_old_overlaps(authored, held_out), find_overlaps(texts, list_other_pools(model, synth_type))
    begins, ends, traits = len(authored) + len(attached), len(attached) + len(held_out), held_out.columns["trait"]
    overlaps = {}
    for row, (text, overlap) in old.items():
        overlaps[begins + row] = f"id {make_id(model.handle, traits[row].as_py(), text)}, {overlap.detail}"
    overlaps |= {begins + len(held_out) + number: new[text].detail for number, text in enumerate(texts) if text in new}
    frame = _join(
        _SIDES,
        [{"text": text, "subject": "", "side": "train", "origin": "authored"} for text in authored],
        {
            "text": _spread({len(attached) + row: text for row, (text, _) in old.items()}, ends),
            "subject": pa.concat_tables([attached.columns, held_out.columns])["subject"],
            "side": ["train"] * len(attached) + ["eval"] * len(held_out),
            "origin": ["attached"] * ends,
        },
        [
            {"text": text, "subject": json.loads(row["scenario"]).get("subject", ""), "side": side, "origin": "run"}
            for text, row in zip(texts, rows, strict=True)
        ],
    )
    return frame.assign(overlap=pd.Series(overlaps, frame.index, dtype=object))


def _find_new(texts: Sequence[str], authored: Sequence[str], attached: StoredSamples) -> dict[int, _Near]:
    """Find new texts that are similar to an authored, attached or earlier new text, across all traits."""
    seen, stored = NearTexts(), find_nearest(texts, attached.texts)
    for text in authored:
        seen.add(text)
    matches = {}
    for number, text in enumerate(texts):
        if match := choose_nearest(seen.find(text), stored.get(text)):
            matches[number] = text, match
        seen.add(text)
    return matches


def _find_old(authored: Sequence[Seed], attached: StoredSamples) -> dict[int, _Near]:
    """Find authored and attached texts that are similar to an earlier text of their trait, by position.

    Authored texts come first. Attached texts are compared only with authored ones: the gate compared each set with the
    sets before it when it was attached.
    """
    matches: dict[int, _Near] = {}
    traits: dict[str, list[int]] = {}
    for number, seed in enumerate(authored):
        traits.setdefault(seed.trait, []).append(number)
    for numbers in traits.values():
        for place, match in find_pairs(authored[number].text for number in numbers):
            matches[numbers[place]] = authored[numbers[place]].text, match
    for item in match_stored([seed.text for seed in authored], attached.texts, NEAR):
        seed, place = authored[item.query], len(authored) + item.row
        is_nearer = place not in matches or item.similarity > matches[place][1].similarity
        if is_nearer and attached.columns["trait"][item.row].as_py() == seed.trait:
            matches[place] = item.text, Match(seed.text, item.similarity)
    return matches


def _find_old_overlaps(authored: Sequence[str], held_out: StoredSamples) -> dict[int, _Near]:
    """Find held-out texts that overlap with an authored one: text and overlap by position.

    The gate compared each set with the sets of the opposite pool when it was attached.
    """
    unique = list(dict.fromkeys(authored))
    runs: dict[int, tuple[str, dict[tuple[str, ...], str]]] = {}
    for shared in share_runs(unique, held_out.texts):
        sources = runs.setdefault(shared.row, (shared.text, {}))[1]
        sources |= dict.fromkeys(shared.runs, unique[shared.query])
    overlaps = {row: (text, Match(sources[min(sources)], 0.0)) for row, (text, sources) in runs.items()}
    for item in match_stored(unique, held_out.texts, APART):
        if item.row not in overlaps or item.similarity > overlaps[item.row][1].similarity:
            overlaps[item.row] = item.text, Match(unique[item.query], item.similarity)
    return overlaps


def _join(
    schema: pa.Schema,
    authored: Sequence[Row],
    stored: Mapping[str, Sequence[str] | pa.ChunkedArray],
    run: Sequence[Row],
) -> pd.DataFrame:
    """Join the rows of authors and of a run with columns of the store; each distinct text is in memory once."""
    parts = [
        pa.Table.from_pylist([*authored], schema),
        pa.table(dict(stored), schema),
        pa.Table.from_pylist([*run], schema),
    ]
    frame: pd.DataFrame = pa.concat_tables(parts).to_pandas(strings_to_categorical=True)
    return frame


def _spread(texts: Mapping[int, str], rows: int) -> list[str]:
    """Return a list of ``rows`` texts: the given ones at their positions, and ``STORED_TEXT`` elsewhere."""
    return [texts.get(number, STORED_TEXT) for number in range(rows)]
