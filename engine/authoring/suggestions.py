"""Choose the unlabelled texts of an author that are most useful to label.

They are spread over the subjects of the texts; if an axis has enough samples, half of them lie where it is unsure.
docs/decisions/000-measured.md compares what they teach with the same number of randomly drawn texts.
"""

import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from engine.axis.reference_axis import fit_reference_axis
from engine.axis.separation import Numbers
from engine.definitions.loader import MODEL_FILE
from engine.definitions.sources.tables import CONTENT, SUGGESTED, TEXT
from engine.domain.model import POLES, Model
from engine.domain.unlabelled_texts import OPENING_CHARACTERS
from engine.errors import InputError
from engine.text.embedding import ENCODER_LANGUAGES, Embedder, Vectors, encode, group_rows
from engine.text.formatting import count_noun
from engine.text.language import decide_language
from engine.text.near_duplicates import NearTexts, hash_form

MOST_SUGGESTED = 1_000
# Number of texts that are embedded at once; the encoder's memory grows with it.
BLOCK = 2_000
# From ``MIN_SAMPLES`` samples per pole, half of the suggestions are spread over ``CANDIDATES`` times as many unsure
# texts. With fewer samples unsure texts taught less than other texts.
MIN_SAMPLES, CANDIDATES = 10, 5
# A label is suggested from this distance to the middle (a pole's own samples have a mean of 1) if the axis has at least
# this AUC. On four sets of texts labelled by people, 97 to 98 of 100 such labels were right, for every number of
# samples. With six samples per pole a tenth to a quarter of the texts get a suggestion, with twenty 61 of 100.
SURE_PLACE, SURE_AUC = 0.5, 0.8


def suggest_texts(
    model: Model, count: int, embedder: Embedder, on_placed: Callable[[int], object] = lambda _: None
) -> pd.DataFrame:
    """Suggest texts from the model's sources of the type ``texts`` that neither equal nor resemble a labelled text.

    Args:
        count: total number of texts, fewer if there are not enough; every trait has an equal share.
        on_placed: called after each block with the number of newly embedded texts.

    Returns:
        A row for each text, in the format of ``exemplars add``: ``id``, ``text``, and for each trait an empty column
        named like its key and ``<key>_suggested`` with a pole's label where the trait's axis is sure.

    Raises:
        InputError: the model has no such text, or the count is out of range.
    """
    if not 1 <= count <= MOST_SUGGESTED:
        raise InputError(f"{count:,} texts cannot be suggested. Ask for 1 to {MOST_SUGGESTED:,} with --count")
    labelled = {hash_form(seed.text) for seed in model.authored}
    texts = [text for text in model.texts.drawn if hash_form(text) not in labelled]
    vectors = None
    # In other languages vectors are meaningless.
    if texts and decide_language(model).tag in ENCODER_LANGUAGES:
        blocks = []
        for start in range(0, len(texts), BLOCK):
            blocks.append(encode([text[:OPENING_CHARACTERS] for text in texts[start : start + BLOCK]]))
            on_placed(len(blocks[-1]))
        vectors = np.concatenate(blocks)
    unsure, sure = ({}, {}) if vectors is None else _find_places(model, vectors, embedder)
    rows = _choose_rows(model, texts, vectors, unsure, count)
    if not rows:
        cause = "all its texts have a label" if model.texts.drawn else "it has no texts without labels"
        source = "{type: texts, path: FILE, field: text}"
        raise InputError(f"{model.handle}: {cause}. Name some in the `sources` of its {MODEL_FILE}: {source}")
    return _write_frame(model, [texts[row] for row in rows], rows, sure)


def _find_places(
    model: Model, vectors: Vectors, embedder: Embedder
) -> tuple[Mapping[str, Numbers], Mapping[str, Numbers]]:
    """Project texts on the axes of traits, shape (n,): 0 is the middle, -1 and 1 are the means of the poles' samples.

    Returns:
        Positions by trait key, first for axes with enough samples to find unsure texts, then for axes good enough to
        suggest labels. A trait without an axis, or without samples at both poles, is in neither.
    """
    unsure, sure = dict[str, Numbers](), dict[str, Numbers]()
    for trait in model.traits:
        axis = fit_reference_axis(model, trait, embedder)
        seeds = [model.examples_at(trait.key, pole) for pole in POLES]
        if axis.basis in ("nothing", "exemplars") or not all(seeds):
            continue
        high, low = (float((embedder.embed([seed.text for seed in group]) @ axis.vector).mean()) for group in seeds)
        if high > low:
            positions = (vectors @ axis.vector - (high + low) / 2) * 2 / (high - low)
            unsure |= {trait.key: positions} if min(map(len, seeds)) >= MIN_SAMPLES else {}
            sure |= {trait.key: positions} if (axis.auc or 0.0) >= SURE_AUC else {}
    return unsure, sure


def _choose_rows(
    model: Model, texts: Sequence[str], vectors: Vectors | None, unsure: Mapping[str, Numbers], count: int
) -> list[int]:
    """Choose ``count`` rows, an equal share for each trait; without vectors the first rows, which are a fair draw.

    No chosen text is a near duplicate of a labelled or another chosen text.
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
    """Sort rows: first the middles of ``count`` groups of similar texts, then the rest."""
    if not count or not rows:
        return []
    candidates = np.array(rows)
    owners, centres = group_rows(vectors[candidates], count)
    likeness = np.round(np.einsum("nd,nd->n", vectors[candidates], centres[owners]), 6)
    middles = {
        int(candidates[owners == group][np.argmax(likeness[owners == group])]): None for group in np.unique(owners)
    }
    return [*middles, *(row for row in rows if row not in middles)]


def _write_frame(model: Model, texts: Sequence[str], rows: Sequence[int], sure: Mapping[str, Numbers]) -> pd.DataFrame:
    keys = {trait.key for trait in model.traits}
    # A trait's key may be "id" or "text"; that column then holds its labels.
    id_name, text_name = "text_id" if "id" in keys else "id", CONTENT if TEXT in keys else TEXT
    frame = pd.DataFrame({id_name: [f"{hash_form(text):016x}" for text in texts], text_name: texts})
    for trait in model.traits:
        positions = sure[trait.key][list(rows)] if trait.key in sure else np.zeros(len(rows))
        frame[trait.key] = ""
        frame[trait.key + SUGGESTED] = [
            trait.label("positive" if at > 0 else "negative") if abs(at) >= SURE_PLACE else "" for at in positions
        ]
    return frame


def explain_suggestions(model: Model, frame: pd.DataFrame, place: str) -> str:
    """Return a summary of the suggestions and the next steps, in a few lines."""
    lines = [f"{model.handle}: {count_noun(len(frame), 'text')} to label in {place}"]
    for trait in model.traits:
        frequencies = frame[trait.key + SUGGESTED].value_counts()
        labels = [trait.label(pole) for pole in POLES]
        counts = [f"{frequencies[label]:,} × {label}" for label in labels if label in frequencies]
        suggested = f"the axis suggests {', '.join(counts)}" if counts else "the axis suggests none"
        lines.append(f"  {trait.key}: {' or '.join(labels)}, or a number from 0 to 1; {suggested}")
    lines.append(f"Fill in the empty columns where you can, then: exemplars add {model.handle} {shlex.quote(place)}")
    return "\n".join(lines)
