"""Pole scores: where each exemplar of a trait lies between the poles, by every measure that has shown its skill.

There are two: the in-context judge's odds, and an axis from the seeds, or from what the poles are called where a pole
has none. An axis from the exemplars themselves finds what it put in; only a topic without seeds, whose negative pole is
everything else, has nothing better (docs/decisions/009-samples-that-teach.md).
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from engine.domain.model import POLES, Model, Pole, Trait
from engine.domain.samples import Exemplar
from engine.quality.separation import Numbers, fit_axis, rank_auc, score_held_out
from engine.text.embedding import Embedder, Vectors

# Decimals of a place that stay, so that no choice hangs on the order in which numbers were added up.
DECIMALS = 6
# What the poles' names are worth beside an axis from seeds, as an AUC: they reached .83 of what 100 real texts a class
# do where twelve seeds reached .94 (docs/decisions/000).
NAMES_AUC = 0.85
# With fewer seeds at a pole, leaving one out moves its mean so far that the AUC falls below chance: with two it was 0
# for 9 of 11 traits of the catalogue, with three .5 at most for 7, with four for 4.
MIN_SEEDS_PER_POLE = 5
# An axis that does no better on seeds that it was not shown is not trusted alone.
MIN_AUC = 0.6
# A text one standard deviation from the middle is drawn at .82.
STEEPNESS = 1.5


def measure_pole_scores(
    model: Model, trait: Trait, exemplars: Sequence[Exemplar], judge_auc: float | None, embedder: Embedder
) -> dict[str, float]:
    """The place of each exemplar by its key: positive is higher, and 1 is about a standard deviation of a voice.

    Each voice counts by its Somers' D, 2 AUC - 1, measured on seeds that it had not been shown. What does no better
    than chance has no say.

    Args:
        judge_auc: the judge's on the seeds; None where nobody judged.
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
    """The axis that does not come from the exemplars, and its AUC on what it had not been shown, in [0, 1].

    From the seeds of both poles, each placed by the others. Where they are too few for that, or do not agree, what the
    poles are called is added; where a pole has none, that is all.
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
    """What a pole is called: its label alone and with the trait's name, and its paraphrases."""
    label = trait.label(pole)
    return [label, f"{trait.name}: {label}", *trait.paraphrase(pole)]


def measure_pole_positions(model: Model, exemplars: Sequence[Exemplar], embedder: Embedder) -> dict[str, float]:
    """The lean of each exemplar with a text, rejected ones too, by its key, trait by trait.

    By the axis from the seeds, or from the poles' names, alone: the judge in context has not heard what the rules
    rejected.
    """
    positions: dict[str, float] = {}
    for trait in model.traits:
        group = [exemplar for exemplar in exemplars if exemplar.trait == trait.key and exemplar.text]
        scores = measure_pole_scores(model, trait, group, None, embedder)
        positions |= {key: round(_logistic(STEEPNESS * place), 4) for key, place in scores.items()}
    return positions


def _score_by_exemplars(exemplars: Sequence[Exemplar], vectors: Vectors) -> tuple[Numbers, float | None]:
    """Where the exemplars themselves place one another, and how well: what a topic is not is no name to go by."""
    positive = [exemplar.pole == "positive" for exemplar in exemplars]
    own = score_held_out(vectors, positive, [exemplar.pair_id for exemplar in exemplars])
    return own, rank_auc(own, positive)


def _fit_text_axis(texts: Mapping[Pole, Sequence[str]], embedder: Embedder) -> Numbers:
    vectors = embedder.embed([text for pole in POLES for text in texts[pole]])
    return fit_axis(vectors, [index < len(texts["positive"]) for index in range(len(vectors))])


def _cross_validate(texts: Mapping[Pole, Sequence[str]], embedder: Embedder) -> float | None:
    """The AUC of texts that are each placed by the axis of the others."""
    vectors = embedder.embed([text for pole in POLES for text in texts[pole]])
    positive = [index < len(texts["positive"]) for index in range(len(vectors))]
    alone = [str(index) for index in range(len(vectors))]
    return rank_auc(score_held_out(vectors, positive, alone, folds=len(alone)), positive)


def _combine_measures(measures: Sequence[tuple[Numbers, float | None]], count: int) -> Numbers:
    """The weighted sum of the voices, each at a standard deviation of 1, scaled so that the sum has about 1, too."""
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
