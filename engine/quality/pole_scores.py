"""Scores where each exemplar of a trait lies between the poles; the choice ranks exemplars by these scores.

A score combines up to two measures: the in-context judge's odds, and the position along an axis that is fit to the
seeds, or to the names of the poles where a pole has no seeds. An axis that is fit to the exemplars themselves only
finds what was put in. It is used for a topic without seeds at both poles alone, whose negative pole is everything else,
since nothing better is to be had there (docs/decisions/009-samples-that-teach.md).
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from engine.domain.model import POLES, Model, Pole, Trait
from engine.domain.samples import Exemplar
from engine.quality.separation import Numbers, fit_axis, rank_auc, score_held_out
from engine.text.embedding import Embedder, Vectors

# Scores are rounded to so many decimals, so that no choice depends on the order in which numbers were added.
DECIMALS = 6
# The AUC that is assumed for an axis from the poles' names: it reached .83 of what 100 real texts per class do, where
# twelve seeds reached .94 (docs/decisions/000).
NAMES_AUC = 0.85
# With fewer seeds at a pole, leaving one out moves the mean so far that the AUC falls below chance: with two seeds it
# was 0 for 9 of the catalogue's 11 traits; it was .5 at most for 7 traits with three seeds, and for 4 with four.
MIN_SEEDS_PER_POLE = 5
# An axis from seeds with a lower cross-validated AUC is not used alone.
MIN_AUC = 0.6
# The slope of the logistic function from scores to positions: a score of one standard deviation becomes .82.
STEEPNESS = 1.5


def measure_pole_scores(
    model: Model, trait: Trait, exemplars: Sequence[Exemplar], judge_auc: float | None, embedder: Embedder
) -> dict[str, float]:
    """Returns pole scores by exemplar key, in standard deviations; higher is more positive.

    Each measure is weighted by its Somers' D, 2 AUC - 1, from seeds that it had not been shown. A measure that does no
    better than chance is left out.

    Args:
        judge_auc: the AUC of the in-context judge on the seeds; None if it did not judge.
    """
    if not exemplars:
        return {}
    vectors = embedder.embed([exemplar.text or "" for exemplar in exemplars])
    axis, axis_auc = fit_reference_axis(model, trait, embedder)
    measures: list[tuple[Numbers, float | None]] = [(vectors @ axis, axis_auc)]
    if trait.type == "topic" and not all(model.seeds_at(trait.key, pole) for pole in POLES):
        measures = [_score_by_exemplars(exemplars, vectors)]
    if all(exemplar.odds is not None for exemplar in exemplars):
        measures.append((np.array([exemplar.odds for exemplar in exemplars]), judge_auc))
    total = _combine_measures(measures, len(exemplars))
    return dict(zip((exemplar.key for exemplar in exemplars), total.tolist(), strict=True))


def fit_reference_axis(model: Model, trait: Trait, embedder: Embedder) -> tuple[Numbers, float]:
    """Fits the axis that does not depend on the exemplars; returns it with its AUC in [0, 1] on held-out texts.

    It is fit to the seeds of both poles, and the AUC comes from leaving out each seed in turn. If the seeds are fewer
    than ``MIN_SEEDS_PER_POLE`` or their AUC is below ``MIN_AUC``, the axis between the poles' names is added. If a pole
    has no seeds, the names alone are used. In both cases the AUC is ``NAMES_AUC``.
    """
    seeds = {pole: [seed.text for seed in model.seeds_at(trait.key, pole)] for pole in POLES}
    names = {pole: list_pole_names(trait, pole) for pole in POLES}
    if not all(seeds.values()):
        return _fit_text_axis(names, embedder), NAMES_AUC
    axis = _fit_text_axis(seeds, embedder)
    auc = _cross_validate(seeds, embedder) if min(map(len, seeds.values())) >= MIN_SEEDS_PER_POLE else None
    if auc is not None and auc >= MIN_AUC:
        return axis, auc
    return axis + _fit_text_axis(names, embedder), NAMES_AUC


def list_pole_names(trait: Trait, pole: Pole) -> list[str]:
    """Lists the names of a pole: its label alone, its label after the trait's name, and its paraphrases."""
    label = trait.label(pole)
    return [label, f"{trait.name}: {label}", *trait.paraphrase(pole)]


def measure_pole_positions(model: Model, exemplars: Sequence[Exemplar], embedder: Embedder) -> dict[str, float]:
    """Returns the position between the poles in [0, 1], by exemplar key, of all exemplars with a text; 1 is positive.

    Rejected exemplars are included. Only the reference axis is used (see ``fit_reference_axis``), since the in-context
    judge has not judged what the rules rejected.
    """
    positions: dict[str, float] = {}
    for trait in model.traits:
        group = [exemplar for exemplar in exemplars if exemplar.trait == trait.key and exemplar.text]
        scores = measure_pole_scores(model, trait, group, None, embedder)
        positions |= {key: round(_logistic(STEEPNESS * place), 4) for key, place in scores.items()}
    return positions


def _score_by_exemplars(exemplars: Sequence[Exemplar], vectors: Vectors) -> tuple[Numbers, float | None]:
    """Scores each exemplar by an axis that is fit to the others; returns the scores and their AUC.

    This is for topics without seeds: the name of a topic's negative pole says nothing of what its texts are about.
    """
    positive = [exemplar.pole == "positive" for exemplar in exemplars]
    own = score_held_out(vectors, positive, [exemplar.pair_id for exemplar in exemplars])
    return own, rank_auc(own, positive)


def _fit_text_axis(texts: Mapping[Pole, Sequence[str]], embedder: Embedder) -> Numbers:
    vectors = embedder.embed([text for pole in POLES for text in texts[pole]])
    return fit_axis(vectors, [index < len(texts["positive"]) for index in range(len(vectors))])


def _cross_validate(texts: Mapping[Pole, Sequence[str]], embedder: Embedder) -> float | None:
    """Returns the leave-one-out AUC: each text is scored by an axis that is fit to all other texts."""
    vectors = embedder.embed([text for pole in POLES for text in texts[pole]])
    positive = [index < len(texts["positive"]) for index in range(len(vectors))]
    alone = [str(index) for index in range(len(vectors))]
    return rank_auc(score_held_out(vectors, positive, alone, folds=len(alone)), positive)


def _combine_measures(measures: Sequence[tuple[Numbers, float | None]], count: int) -> Numbers:
    """Adds up the measures, each standardised and weighted, and scales the sum to a standard deviation of about 1.

    Args:
        measures: the values of each measure, with its AUC.
    """
    total, squares = np.zeros(count), 0.0
    for values, auc in measures:
        weight = max(0.0, 2 * (auc or 0.0) - 1)
        spread = float(np.std(values))
        if weight and spread > 0:
            total = total + weight * (values - values.mean()) / spread
            squares += weight**2
    return np.round(total / math.sqrt(squares), DECIMALS) if squares else total


def _logistic(value: float) -> float:
    return 1 / (1 + math.exp(-max(-30.0, min(30.0, value))))
