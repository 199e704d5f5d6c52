"""Chooses, of an author's texts without labels, those that are most worth one.

Half lie where a trait's axis is unsure, the others anywhere; both are spread over what the texts are about. Without an
axis all are. docs/decisions/000-measured.md has what they teach beside as many texts drawn blindly, and why none is
chosen for lying at an end.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from engine.axis.reference_axis import fit_reference_axis
from engine.axis.separation import Numbers
from engine.definitions.loader import MODEL_FILE
from engine.definitions.sources.labelled_lines import CONTENT, SUGGESTED, TEXT
from engine.domain.model import POLES, Model, Trait
from engine.domain.own_texts import OPENING_CHARACTERS
from engine.errors import InputError
from engine.text.embedding import ENCODER_LANGUAGES, Embedder, Vectors, encode
from engine.text.formatting import count_noun
from engine.text.groups import group_rows
from engine.text.language import decide_language
from engine.text.near_duplicates import hash_form

MOST_SUGGESTED = 1_000
# So many texts are placed at once; the encoder's memory grows with them.
BLOCK = 2_000
# The unsure ones are chosen from so many times as many texts.
CANDIDATES = 5
# A label is suggested this far from the middle, where a pole's own samples lie at 1 on average, if the axis is as good
# as that. On four sets of texts that people had labelled 97 to 98 of 100 such labels were right, of every number of
# samples: with six a pole a tenth to a quarter of the texts have one, with twenty 61 of 100.
SURE_PLACE, SURE_AUC = 0.5, 0.8


@dataclass(frozen=True, slots=True, eq=False)
class _Places:
    """Where texts lie on a trait's axis, shape (n,), from the middle between its poles; whether labels can be told."""

    at: Numbers
    is_sure: bool


def suggest_texts(
    model: Model, count: int, embedder: Embedder, on_placed: Callable[[int], object] = lambda _: None
) -> pd.DataFrame:
    """Suggests texts of the model's sources of the type ``texts``; one that is labelled for any trait is passed over.

    Args:
        count: how many in all; every trait has an equal share.
        on_placed: is told, time and again, how many more texts the encoder has placed.

    Returns:
        A row for each text, as ``exemplars add`` reads it: ``id``, ``text``, and for each trait an empty column of its
        key and ``<key>_suggested`` with a pole's label where the trait's axis is sure.

    Raises:
        InputError: the model has no such text, or the count is none.
    """
    if not 1 <= count <= MOST_SUGGESTED:
        raise InputError(f"{count:,} texts cannot be suggested. Ask for 1 to {MOST_SUGGESTED:,} with --count")
    labelled = {hash_form(seed.text) for seed in model.authored}
    texts = [text for text in model.texts.drawn if hash_form(text) not in labelled]
    if not texts:
        missing = "all its texts have a label" if model.texts.drawn else "it has no texts without labels"
        source = "{type: texts, path: FILE, field: text}"
        raise InputError(f"{model.handle}: {missing}. Name some in the `sources` of its {MODEL_FILE}: {source}")
    places: dict[str, _Places] = {}
    chosen = list(range(len(texts)))[:count]
    # In another language vectors say nothing; the first are a fair draw.
    if decide_language(model).tag in ENCODER_LANGUAGES:
        vectors = _place_openings(texts, on_placed)
        for trait in model.traits:
            if (place := _find_places(model, trait, vectors, embedder)) is not None:
                places[trait.key] = place
        chosen = _choose(vectors, [places.get(trait.key) for trait in model.traits], min(count, len(texts)))
    return _write_frame(model, texts, chosen, places)


def _place_openings(texts: Sequence[str], on_placed: Callable[[int], object]) -> Vectors:
    blocks = []
    for start in range(0, len(texts), BLOCK):
        blocks.append(encode([text[:OPENING_CHARACTERS] for text in texts[start : start + BLOCK]]))
        on_placed(len(blocks[-1]))
    return np.concatenate(blocks)


def _find_places(model: Model, trait: Trait, vectors: Vectors, embedder: Embedder) -> _Places | None:
    """Finds where texts lie, in the unit of half the distance between the poles' samples; None without an axis.

    Without samples at both poles the middle is that of the texts, and no label can be told.
    """
    axis = fit_reference_axis(model, trait, embedder)
    if axis.basis in ("nothing", "exemplars"):
        return None
    at = vectors @ axis.vector
    seeds = [model.examples_at(trait.key, pole) for pole in POLES]
    if not all(seeds):
        return _Places(at - np.median(at), is_sure=False)
    high, low = (float((embedder.embed([seed.text for seed in its]) @ axis.vector).mean()) for its in seeds)
    if high <= low:
        return None
    return _Places((at - (high + low) / 2) * 2 / (high - low), is_sure=(axis.auc or 0.0) >= SURE_AUC)


def _choose(vectors: Vectors, places: Sequence[_Places | None], count: int) -> list[int]:
    """Chooses ``count`` rows, an equal share for each trait; of a trait without an axis none is known to be unsure."""
    taken: dict[int, None] = {}
    for number, place in enumerate(places):
        share = (count - len(taken)) // (len(places) - number)
        if place is not None:
            nearest = [row for row in np.argsort(np.abs(place.at), kind="stable") if row not in taken]
            taken |= dict.fromkeys(_spread(vectors, nearest[: CANDIDATES * (share // 2)], share // 2))
            share -= share // 2
        taken |= dict.fromkeys(_spread(vectors, [row for row in range(len(vectors)) if row not in taken], share))
    return list(taken)


def _spread(vectors: Vectors, rows: Sequence[int], count: int) -> list[int]:
    """Chooses so many of the rows, each in the middle of a group of its own; where groups lack, the first others."""
    if not count:
        return []
    among = np.array(rows)
    owners, centres = group_rows(vectors[among], count)
    likeness = np.round(np.einsum("nd,nd->n", vectors[among], centres[owners]), 6)
    middles = [int(among[owners == group][np.argmax(likeness[owners == group])]) for group in np.unique(owners)]
    others = [int(row) for row in rows if row not in set(middles)]
    return (middles + others)[:count]


def _write_frame(model: Model, texts: Sequence[str], chosen: Sequence[int], places: dict[str, _Places]) -> pd.DataFrame:
    keys = {trait.key for trait in model.traits}
    # A trait may have such a name, and its column then holds labels.
    id_name, text_name = "text_id" if "id" in keys else "id", CONTENT if TEXT in keys else TEXT
    columns: dict[str, list[Any]] = {
        id_name: [f"{hash_form(texts[row]):016x}" for row in chosen],
        text_name: [texts[row] for row in chosen],
    }
    for trait in model.traits:
        place = places.get(trait.key)
        columns[trait.key] = [""] * len(chosen)
        columns[trait.key + SUGGESTED] = [_tell_label(trait, place, row) for row in chosen]
    return pd.DataFrame(columns)


def _tell_label(trait: Trait, place: _Places | None, row: int) -> str:
    if place is None or not place.is_sure or abs(place.at[row]) < SURE_PLACE:
        return ""
    return trait.label("positive" if place.at[row] > 0 else "negative")


def explain_suggestions(model: Model, frame: pd.DataFrame, place: str) -> str:
    """Says what was suggested, and what to do with it, in a few lines."""
    lines = [f"{model.handle}: {count_noun(len(frame), 'text')} to label in {place}"]
    for trait in model.traits:
        told = frame[trait.key + SUGGESTED].value_counts()
        labels = [trait.label(pole) for pole in POLES]
        counts = [f"{told[label]:,} × {label}" for label in labels if label in told]
        suggested = f"suggested are {', '.join(counts)}" if counts else "too few samples to suggest any"
        lines.append(f"  {trait.key}: {' or '.join(labels)}, or a number from 0 to 1; {suggested}")
    lines.append(f"Fill what you can of the empty columns, then: exemplars add {model.handle} {place}")
    return "\n".join(lines)
