"""Fit the axis between a trait's poles to the author's texts before a run, and measure its quality.

The author's texts are the seeds, the paraphrases and the labels. Labels alone are not reliable: on 16 plain texts each,
axes between the names of 118 pairs of poles had a mean AUC of .61, from .09 to 1, and no measure separated the good
axes from the bad ones (docs/decisions/003-choice.md). So every axis needs a second witness.
"""

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from engine.axis.separation import DECIMALS, Flags, Numbers, fit_axis, measure_left_out, rank_auc
from engine.domain.definition import Pole, Trait
from engine.domain.model import POLES, Model
from engine.text.embedding import Embedder, Vectors

Words = Literal["paraphrases", "labels"]
Basis = Literal["seeds", "seeds and paraphrases", "seeds and labels", "paraphrases", "exemplars", "nothing"]

COMBINED: Mapping[Words, Basis] = {"paraphrases": "seeds and paraphrases", "labels": "seeds and labels"}
# The lowest AUC, on seeds that the axis was not fit to, of an axis that is used.
MIN_AUC = 0.6
# Few seeds can reach that AUC by chance. On hand-written texts, these shares of axes fell below .6 on other texts: 4 %
# from three seeds a pole that reached 1, 8 % from four that reached .75, and 11 % from six that reached .6. Two seeds a
# pole are never trusted alone: 10 % of their axes that reached 1 fell below .6.
MIN_AUC_OF_FEW: Mapping[int, float] = {1: math.inf, 2: math.inf, 3: 1.0, 4: 0.75}
# With this many seeds a pole, an author has supplied all requested seeds.
MIN_SEEDS_ALONE = 4
# The lowest cosine of two directions from different texts (labels, paraphrases, or fewer than five seeds a pole) that
# counts as agreement. When two witnesses agreed, no axis of 105 fell below .72 on other texts; with an earlier rule, .1
# and no agreement for seeds, one had .28 (docs/decisions/003-choice.md).
MIN_AGREEMENT = 0.2
MIN_SEEDS_FOR_LABELS = 2
MIN_WITNESSES = 2


@dataclass(frozen=True, slots=True, eq=False)
class ReferenceAxis:
    """The axis that scores a trait's texts between its poles, independent of the exemplars.

    Args:
        basis: the texts that the axis is fit to. "exemplars" are the run's exemplars, for a topic without seeds at both
            poles: its negative pole is everything else. "nothing" means that there is no reliable axis.
        vector: shape (d,), of length 1; zeros if no axis is known before the run.
        auc: its AUC in [0, 1] on seeds that it was not fit to; None if there are none, or too few to measure.
        seeds_auc: the AUC of the seeds alone on each other, whether they are used or not; None for fewer than two at a
            pole.
    """

    basis: Basis
    vector: Numbers
    auc: float | None = None
    seeds_auc: float | None = None


def fit_reference_axes(model: Model, embedder: Embedder) -> dict[str, ReferenceAxis]:
    """Return the axes of all traits, by trait key."""
    return {trait.key: fit_reference_axis(model, trait, embedder) for trait in model.traits}


def fit_reference_axis(model: Model, trait: Trait, embedder: Embedder) -> ReferenceAxis:
    """Fit the axis of one trait to its seeds if they score each other well, or to texts that a second witness confirms.

    If there are few seeds, the paraphrases, or else the labels, are added if they agree with the seeds. Without seeds
    at both poles, the paraphrases are the axis if other paraphrases, or the labels, agree with them.
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
    """Fit the axis to the paraphrases if a second witness agrees with them: other paraphrases, else the labels."""
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
    """Return the directions of paraphrases and labels, of length 1, the more reliable first.

    Labels that negate one another or carry no meaning ("Not rude", "Yes") agree with no other witness.
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
    """Move an AUC towards chance, as if one more seed at each pole lay anywhere: 1 on two seeds a pole becomes .83."""
    return 0.5 + (auc - 0.5) * count / (count + 1)
