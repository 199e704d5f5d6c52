"""Score the position of each exemplar between its trait's poles; the choice ranks exemplars by these scores.

A score combines up to two measures: the in-context judge's odds, and the position along the trait's reference axis
(``engine/axis/reference_axis.py``). If neither is known to separate the poles, there are no scores.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from engine.axis.reference_axis import ReferenceAxis
from engine.axis.separation import Numbers, rank_auc, score_held_out
from engine.domain.definition import Pole, Trait
from engine.domain.model import DEFAULT_LABELS
from engine.domain.samples import Exemplar
from engine.text.embedding import Embedder

# Decimals of rounded scores. Rounding makes choices independent of the order of additions.
DECIMALS = 6
# The slope of the logistic function from scores to positions: a score of one standard deviation becomes .82.
STEEPNESS = 1.5


def measure_pole_scores(
    axis: ReferenceAxis | None, exemplars: Sequence[Exemplar], judge_auc: float | None, embedder: Embedder
) -> dict[str, float]:
    """Return pole scores by exemplar key, in standard deviations; higher is more positive; empty without a measure.

    Each measure is standardised and weighted by its Somers' D, 2 AUC - 1, from seeds that it had not been shown. A
    measure that is no better than chance is left out. The sum is scaled to a standard deviation of about 1.

    Args:
        axis: None if the encoder does not support the language.
        exemplars: all of one trait.
        judge_auc: the AUC of the in-context judge on the seeds; None if it did not judge.
    """
    if not exemplars:
        return {}
    measures: list[tuple[Numbers, float | None]] = []
    if axis and axis.basis != "nothing":
        vectors = embedder.embed([exemplar.text or "" for exemplar in exemplars])
        if axis.basis == "exemplars":
            # Such an axis only reproduces the labels of the exemplars that it is fit to. For topics without seeds there
            # is no better one, because their negative pole is everything else (docs/decisions/003-choice.md).
            positive = [exemplar.pole == "positive" for exemplar in exemplars]
            held_out = score_held_out(vectors, positive, [exemplar.pair_id for exemplar in exemplars])
            measures.append((held_out, rank_auc(held_out, positive)))
        else:
            measures.append((vectors @ axis.vector, 1.0 if axis.auc is None else axis.auc))
    if all(exemplar.odds is not None for exemplar in exemplars):
        measures.append((np.array([exemplar.odds for exemplar in exemplars]), judge_auc))
    weighted, squares = list[Numbers](), 0.0
    for values, auc in measures:
        weight = max(0.0, 2 * (auc or 0.0) - 1)
        spread = float(np.std(values))
        if weight and spread > 0:
            weighted.append(weight * (values - values.mean()) / spread)
            squares += weight**2
    if not weighted:
        return {}
    total = np.round(sum(weighted) / math.sqrt(squares), DECIMALS)
    return dict(zip((exemplar.key for exemplar in exemplars), total.tolist(), strict=True))


def list_pole_names(trait: Trait, pole: Pole) -> list[str]:
    """Return the names of a pole: its label alone and after the trait's name, and its paraphrases."""
    label = trait.label(pole)
    named = [trait.name] if label in DEFAULT_LABELS else [label, f"{trait.name}: {label}"]
    return [*named, *trait.paraphrase(pole)]


def measure_pole_positions(
    axes: Mapping[str, ReferenceAxis], exemplars: Sequence[Exemplar], embedder: Embedder
) -> dict[str, float]:
    """Return the position between the poles in [0, 1], by exemplar key, of all exemplars with a text; 1 is positive.

    Rejected exemplars are included. Exemplars of a trait without an axis have no position. Only the axis is used,
    because the in-context judge has not judged the texts that the rules rejected.

    Args:
        axes: by trait key.
    """
    positions: dict[str, float] = {}
    for trait, axis in axes.items():
        written = [exemplar for exemplar in exemplars if exemplar.trait == trait and exemplar.text]
        for key, score in measure_pole_scores(axis, written, None, embedder).items():
            positions[key] = round(1 / (1 + math.exp(-STEEPNESS * max(-20.0, min(20.0, score)))), 4)
    return positions
