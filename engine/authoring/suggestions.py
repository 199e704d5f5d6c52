"""Choose, of an author's texts without labels, those that are most worth one.

They are spread over what the texts are about; where an axis has enough samples, half of them lie where it is unsure.
docs/decisions/000-measured.md has what they teach beside as many texts drawn blindly.
"""

import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from engine.axis.reference_axis import fit_reference_axis
from engine.axis.separation import Numbers
from engine.definitions.loader import MODEL_FILE
from engine.definitions.sources.labelled_lines import CONTENT, SUGGESTED, TEXT
from engine.domain.model import POLES, Model
from engine.domain.unlabelled_texts import OPENING_CHARACTERS
from engine.errors import InputError
from engine.text.embedding import ENCODER_LANGUAGES, Embedder, Vectors, encode, group_rows
from engine.text.formatting import count_noun
from engine.text.language import decide_language
from engine.text.near_duplicates import NearTexts, hash_form

MOST_SUGGESTED = 1_000
# So many texts are placed at once; the encoder's memory grows with them.
BLOCK = 2_000
# From so many samples a pole on, half are unsure ones, chosen from so many times as many texts; with fewer samples
# these taught less than the others.
MIN_SAMPLES, CANDIDATES = 10, 5
# A label is suggested this far from the middle, where a pole's own samples lie at 1 on average, if the axis is as good
# as that. On four sets of texts that people had labelled 97 to 98 of 100 such labels were right, of every number of
# samples: with six a pole a tenth to a quarter of the texts have one, with twenty 61 of 100.
SURE_PLACE, SURE_AUC = 0.5, 0.8


def suggest_texts(
    model: Model, count: int, embedder: Embedder, on_placed: Callable[[int], object] = lambda _: None
) -> pd.DataFrame:
    """Suggest texts of the model's sources of the type ``texts``: none that is labelled for any trait, or nearly so.

    Args:
        count: how many in all, fewer where there are no more; every trait has an equal share.
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
    vectors = None
    # In another language vectors say nothing.
    if texts and decide_language(model).tag in ENCODER_LANGUAGES:
        blocks = []
        for start in range(0, len(texts), BLOCK):
            blocks.append(encode([text[:OPENING_CHARACTERS] for text in texts[start : start + BLOCK]]))
            on_placed(len(blocks[-1]))
        vectors = np.concatenate(blocks)
    unsure, sure = ({}, {}) if vectors is None else _find_places(model, vectors, embedder)
    rows = _choose_rows(model, texts, vectors, unsure, count)
    if not rows:
        missing = "all its texts have a label" if model.texts.drawn else "it has no texts without labels"
        source = "{type: texts, path: FILE, field: text}"
        raise InputError(f"{model.handle}: {missing}. Name some in the `sources` of its {MODEL_FILE}: {source}")
    return _write_frame(model, [texts[row] for row in rows], rows, sure)


def _find_places(
    model: Model, vectors: Vectors, embedder: Embedder
) -> tuple[Mapping[str, Numbers], Mapping[str, Numbers]]:
    """Find where texts lie on the axes of traits, shape (n,): 0 is the middle, -1 and 1 the means of a pole's samples.

    Returns:
        By trait key the axes with enough samples to know which texts they are unsure of, and those that are good enough
        to tell labels. A trait without an axis, or without samples at both poles, is in neither.
    """
    unsure, sure = dict[str, Numbers](), dict[str, Numbers]()
    for trait in model.traits:
        axis = fit_reference_axis(model, trait, embedder)
        seeds = [model.examples_at(trait.key, pole) for pole in POLES]
        if axis.basis in ("nothing", "exemplars") or not all(seeds):
            continue
        high, low = (float((embedder.embed([seed.text for seed in its]) @ axis.vector).mean()) for its in seeds)
        if high > low:
            at = (vectors @ axis.vector - (high + low) / 2) * 2 / (high - low)
            unsure |= {trait.key: at} if min(map(len, seeds)) >= MIN_SAMPLES else {}
            sure |= {trait.key: at} if (axis.auc or 0.0) >= SURE_AUC else {}
    return unsure, sure


def _choose_rows(
    model: Model, texts: Sequence[str], vectors: Vectors | None, unsure: Mapping[str, Numbers], count: int
) -> list[int]:
    """Choose ``count`` rows, an equal share for each trait; without vectors the first, which are a fair draw.

    None says nearly the same as a labelled text or as one that is chosen.
    """
    near, rows = NearTexts(), list[int]()
    for seed in model.draw_seeds():
        near.add(seed.text)

    def take(ordered: Iterable[int], most: int) -> None:
        end = len(rows) + most
        for row in ordered:
            if len(rows) == end:
                break
            if row not in rows and near.find(texts[row]) is None:
                near.add(texts[row])
                rows.append(row)

    if vectors is None:
        take(range(len(texts)), count)
        return rows
    for number, trait in enumerate(model.traits):
        share = (count - len(rows)) // (len(model.traits) - number)
        end, half = len(rows) + share, share // 2
        if trait.key in unsure:
            nearest = [int(row) for row in np.argsort(np.abs(unsure[trait.key]), kind="stable") if row not in rows]
            take(_spread(vectors, nearest[: CANDIDATES * half], half), half)
        left = end - len(rows)
        take(_spread(vectors, [row for row in range(len(texts)) if row not in rows], left), left)
    return rows


def _spread(vectors: Vectors, rows: Sequence[int], count: int) -> list[int]:
    """Sort rows: first ``count`` of them, each in the middle of a group of its own, then the others."""
    if not count or not rows:
        return []
    among = np.array(rows)
    owners, centres = group_rows(vectors[among], count)
    likeness = np.round(np.einsum("nd,nd->n", vectors[among], centres[owners]), 6)
    middles = {int(among[owners == group][np.argmax(likeness[owners == group])]): None for group in np.unique(owners)}
    return [*middles, *(row for row in rows if row not in middles)]


def _write_frame(model: Model, texts: Sequence[str], rows: Sequence[int], sure: Mapping[str, Numbers]) -> pd.DataFrame:
    keys = {trait.key for trait in model.traits}
    # A trait may have such a name, and its column then holds labels.
    id_name, text_name = "text_id" if "id" in keys else "id", CONTENT if TEXT in keys else TEXT
    frame = pd.DataFrame({id_name: [f"{hash_form(text):016x}" for text in texts], text_name: texts})
    for trait in model.traits:
        at = sure[trait.key][list(rows)] if trait.key in sure else np.zeros(len(rows))
        frame[trait.key] = ""
        frame[trait.key + SUGGESTED] = [
            trait.label("positive" if each > 0 else "negative") if abs(each) >= SURE_PLACE else "" for each in at
        ]
    return frame


def explain_suggestions(model: Model, frame: pd.DataFrame, place: str) -> str:
    """Say what was suggested, and what to do with it, in a few lines."""
    lines = [f"{model.handle}: {count_noun(len(frame), 'text')} to label in {place}"]
    for trait in model.traits:
        told = frame[trait.key + SUGGESTED].value_counts()
        labels = [trait.label(pole) for pole in POLES]
        counts = [f"{told[label]:,} × {label}" for label in labels if label in told]
        suggested = f"the axis suggests {', '.join(counts)}" if counts else "the axis suggests none"
        lines.append(f"  {trait.key}: {' or '.join(labels)}, or a number from 0 to 1; {suggested}")
    lines.append(f"Fill what you can of the empty columns, then: exemplars add {model.handle} {shlex.quote(place)}")
    return "\n".join(lines)
