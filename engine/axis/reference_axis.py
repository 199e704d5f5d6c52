"""Fits the axis between a trait's poles to what is known of them before a run, and measures what it is worth.

Known are the seeds, the paraphrases and the labels. Labels alone are worth nothing: on 16 plain texts each, axes
between the names of 118 pairs of poles had a mean AUC of .61, from .09 to 1, and nothing told the good ones from the
bad ones (docs/decisions/003-choice.md). So every axis needs a second witness.
"""

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from engine.axis.separation import DECIMALS, Flags, Numbers, fit_axis, measure_left_out, rank_auc
from engine.domain.model import POLES, Model, Pole, Trait
from engine.text.embedding import Embedder, Vectors

Words = Literal["paraphrases", "labels"]
Basis = Literal["seeds", "seeds and paraphrases", "seeds and labels", "paraphrases", "exemplars", "nothing"]

COMBINED: Mapping[Words, Basis] = {"paraphrases": "seeds and paraphrases", "labels": "seeds and labels"}
# An axis whose AUC on seeds that it was not fit to is lower is not used.
MIN_AUC = 0.6
# Few seeds reach that AUC by chance. On hand-written texts 4 % of the axes from three seeds a pole that reach 1, and
# 8 % of those from four that reach .75, fell below .6 on other texts; of those from six that reach .6, 11 % did. Two
# seeds a pole are never believed alone: of those that reach 1, 10 % fell below .6.
MIN_AUC_OF_FEW: Mapping[int, float] = {1: math.inf, 2: math.inf, 3: 1.0, 4: 0.75}
# From so many seeds a pole on an author has done all that is asked for.
MIN_SEEDS_ALONE = 4
# The cosine from which on two directions, each from other texts, are believed to show the same difference: those of
# labels, of paraphrases, or of fewer than five seeds a pole. None of 105 axes on which two witnesses agree so fell
# below .72 on other texts; with an earlier rule, at .1 and without it for seeds, one had .28
# (docs/decisions/003-choice.md).
MIN_AGREEMENT = 0.2
MIN_SEEDS_FOR_LABELS = 2
MIN_WITNESSES = 2


@dataclass(frozen=True, slots=True, eq=False)
class ReferenceAxis:
    """What places a trait's texts between its poles, whatever exemplars there are.

    Args:
        basis: what the axis is fit to. "exemplars" are those of the run itself, for a topic without seeds at both
            poles, whose negative pole is everything else. "nothing" means that nothing known places a text.
        vector: shape (d,), of length 1; zeros where no axis is known before the run.
        auc: its AUC in [0, 1] on seeds that it was not fit to; None where there is none, or too few to measure.
        seeds_auc: how well the seeds alone place each other, whether or not they are used; None for fewer than two at a
            pole.
    """

    basis: Basis
    vector: Numbers
    auc: float | None = None
    seeds_auc: float | None = None


def fit_reference_axes(model: Model, embedder: Embedder) -> dict[str, ReferenceAxis]:
    """Fits the axes of all traits, by trait key."""
    return {trait.key: fit_reference_axis(model, trait, embedder) for trait in model.traits}


def fit_reference_axis(model: Model, trait: Trait, embedder: Embedder) -> ReferenceAxis:
    """Fits the axis of one trait to its seeds if they place each other, or to what a second witness confirms.

    To few seeds the paraphrases, or else the labels, are added where they agree. Without seeds at both poles the
    paraphrases are the axis where other paraphrases agree, or the labels.
    """
    seeds = {pole: embedder.embed([seed.text for seed in model.examples_at(trait.key, pole)]) for pole in POLES}
    count = min(map(len, seeds.values()))
    if not count:
        return _fit_to_words(trait, embedder)
    axis, auc = _fit(seeds), measure_left_out(seeds["positive"], seeds["negative"])
    if count in MIN_AUC_OF_FEW:
        for words, direction in _list_directions(trait, embedder).items():
            scores = np.round(np.concatenate([seeds[pole] for pole in POLES]) @ direction, DECIMALS)
            words_auc = rank_auc(scores, _flag(seeds)) or 0.0
            agree = float(axis @ direction) >= MIN_AGREEMENT and words_auc >= MIN_AUC
            if agree and (words == "paraphrases" or count >= MIN_SEEDS_FOR_LABELS):
                return ReferenceAxis(COMBINED[words], axis + direction, _discount(words_auc, count), auc)
    if auc is None or auc < MIN_AUC_OF_FEW.get(count, MIN_AUC):
        return ReferenceAxis("nothing", np.zeros_like(axis), None, auc)
    return ReferenceAxis("seeds", axis, _discount(auc, count) if count in MIN_AUC_OF_FEW else auc, auc)


def _fit_to_words(trait: Trait, embedder: Embedder) -> ReferenceAxis:
    """Fits the axis to the paraphrases if a second witness agrees with them: other paraphrases, else the labels."""
    directions = _list_directions(trait, embedder)
    none = np.zeros(embedder.embed([trait.name]).shape[1])
    if trait.type == "topic":
        return ReferenceAxis("exemplars", none)
    witnesses = [
        _fit({pole: embedder.embed([text]) for pole, text in zip(POLES, texts, strict=True)})
        for texts in zip(*(trait.paraphrase(pole) for pole in POLES), strict=False)
    ]
    if len(witnesses) < MIN_WITNESSES:
        witnesses.append(directions["labels"])
    agreements = [float(one @ other) for one, other in itertools.combinations(witnesses, 2)]
    if "paraphrases" in directions and agreements and min(agreements) >= MIN_AGREEMENT:
        return ReferenceAxis("paraphrases", directions["paraphrases"])
    return ReferenceAxis("nothing", none)


def _list_directions(trait: Trait, embedder: Embedder) -> dict[Words, Numbers]:
    """Lists the directions that words give, of length 1, the more reliable first.

    Labels that negate one another or say nothing ("Not rude", "Yes") agree with no other witness by themselves.
    """
    directions: dict[Words, Numbers] = {}
    if all(trait.paraphrase(pole) for pole in POLES):
        directions["paraphrases"] = _fit({pole: embedder.embed(trait.paraphrase(pole)) for pole in POLES})
    return {**directions, "labels": _fit({pole: embedder.embed([trait.label(pole)]) for pole in POLES})}


def _fit(vectors: Mapping[Pole, Vectors]) -> Numbers:
    return fit_axis(np.concatenate([vectors[pole] for pole in POLES]), _flag(vectors))


def _flag(vectors: Mapping[Pole, Vectors]) -> Flags:
    return [pole == "positive" for pole in POLES for _ in vectors[pole]]


def _discount(auc: float, count: int) -> float:
    """Moves an AUC towards chance as if one more seed at each pole lay anywhere: 1 on two seeds a pole becomes .83."""
    return 0.5 + (auc - 0.5) * count / (count + 1)
