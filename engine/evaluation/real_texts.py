"""Holds the axis of a trait's samples against texts that a user has labelled, and places single texts on it.

The axis is the difference of the poles' means, as the platform itself scores (``engine/axis/separation.py``).
"""

import heapq
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from engine.axis.breaks import Breaks, Grade, measure_breaks
from engine.axis.separation import Flags, Numbers, rank_auc, score_others
from engine.domain.model import POLES, POLES_BY_QUALITY, Attached, Pole, Seed, digest_text
from engine.text.embedding import Vectors
from engine.text.words import drop_unseen, normalise

# More texts at a pole hardly narrow the interval, and embedding them takes minutes: with 1,000 a pole and an AUC of .8
# it is from .780 to .819.
MAX_REAL_PER_POLE = 1_000
# No longer text is placed: one of 20,000 characters takes the encoder about a second, and memory grows with the length.
MAX_CHARACTERS = 20_000
# The normal distribution's quantile of an interval of 95 %.
Z_95 = 1.959964
Item = TypeVar("Item", Seed, Attached)


# Why a labelled text is not held against the samples. One that is "between" has not the quality of a pole; "attached"
# would be placed by itself; "authored" would flatter what these reach; "surplus" is above ``MAX_REAL_PER_POLE``.
LEFT_OUT = {
    "conflicting_labels": "labelled both ways",
    "between": "between the poles",
    "long": f"longer than {MAX_CHARACTERS:,} characters",
    "attached": "an attached sample itself",
    "authored": "an authored sample itself",
    "surplus": "to spare",
}


@dataclass(frozen=True, slots=True)
class Reach:
    """How well an axis tells labelled texts apart that it was not fit to: the AUC in [0, 1], its 95 % interval."""

    auc: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a text lies: its score, in the unit of ``score_others``, and its grade; None with too few samples."""

    score: float
    breaks: Breaks | None
    grade: Grade | None

    @property
    def side(self) -> Pole | None:
        """The pole that it leans to; None in the middle."""
        return None if self.score == 0 else "positive" if self.score > 0 else "negative"


def draw_at_poles(items: Sequence[Item], most: int) -> list[Item]:
    """Draws at most so many texts at each pole, those with the least SHA-256, and returns them in their order."""
    drawn: set[int] = set()
    for quality in POLES_BY_QUALITY:
        own = [item for item in items if item.quality == quality]
        if len(own) > most:
            own = heapq.nsmallest(most, own, key=lambda item: digest_text(item.text))
        drawn |= set(map(id, own))
    return [item for item in items if id(item) in drawn]


def choose_real_texts(
    real: Sequence[Seed], attached: Collection[str], authored: Collection[str]
) -> tuple[list[Seed], dict[str, int]]:
    """Chooses the labelled texts of one trait that count, in their order; of too many those with the least SHA-256.

    Args:
        attached: the attached samples of the trait. Texts are the same if their normal forms are.
        authored: the authored ones.

    Returns:
        The texts, and how many are left out by each of ``LEFT_OUT`` that occurs.
    """
    taken = set(map(normalise, attached))
    known = set(map(normalise, authored)) - taken
    positive, negative = ({drop_unseen(seed.text) for seed in real if seed.pole == pole} for pole in POLES)
    conflicting_labels, new, left_out = positive & negative, list[Seed](), Counter[str]()
    for seed in real:
        form = normalise(seed.text)
        if not seed.pole:
            left_out["between"] += 1
        elif drop_unseen(seed.text) in conflicting_labels:
            left_out["conflicting_labels"] += 1
        elif len(seed.text) > MAX_CHARACTERS:
            left_out["long"] += 1
        elif form in taken or form in known:
            left_out["attached" if form in taken else "authored"] += 1
        else:
            new.append(seed)
    drawn = draw_at_poles(new, MAX_REAL_PER_POLE)
    left_out["surplus"] = len(new) - len(drawn)
    return drawn, {reason: left_out[reason] for reason in LEFT_OUT if left_out[reason]}


def measure_reach(scores: Numbers, positive: Flags) -> Reach | None:
    """Measures how well the scores of real texts on an axis tell them apart; None if a pole has none of them."""
    auc = rank_auc(scores, positive)
    if auc is None:
        return None
    count = int(np.sum(positive))
    return Reach(auc, *bound_auc(auc, count, len(scores) - count))


def list_wrong_side(scores: Numbers, positive: Flags) -> list[tuple[int, float]]:
    """Lists the real texts that an axis places on the other pole's side, by index with their scores, farthest first."""
    sides = np.where(np.asarray(positive, dtype=bool), scores, -scores)
    return [(int(index), float(scores[index])) for index in np.argsort(sides, kind="stable") if sides[index] < 0]


def bound_auc(auc: float, positives: int, negatives: int) -> tuple[float, float]:
    """Returns the 95 % interval of an AUC: the values from which it lies less than 1.96 standard errors away.

    The standard error is that of Hanley and McNeil (1982), at the bound itself and with both counts replaced by their
    mean (Newcombe 2006, Statistics in Medicine 25:559, method 5). In 1,500 draws of two normal clusters, each with 5,
    10, 20 and 40 texts a pole and true AUCs of .6, .8, .9 and .97, it held the true one in 94 to 98 of 100; the
    intervals of DeLong (1988) and of Hanley and McNeil, which have no width at an AUC of 1, in 35 to 95.
    """
    values = np.append(np.linspace(0, 1, 100_001), auc)
    spread = (1 - values) / (2 - values) + values / (1 + values)
    more = 1 + ((positives + negatives) / 2 - 1) * spread
    errors = np.sqrt(values * (1 - values) * more / (positives * negatives))
    near = values[np.abs(values - auc) <= Z_95 * errors]
    return float(near.min()), float(near.max())


def place_texts(samples: Vectors, positive: Flags, groups: Sequence[str], texts: Vectors) -> list[Placement]:
    """Places texts on the axis of a trait's samples, at both poles of which there are some.

    Args:
        samples: their vectors, shape (n, d); ``positive`` says which are at the positive pole.
        groups: the group of each sample, such as its pair; see ``score_held_out``.
        texts: their vectors, shape (m, d).
    """
    scores = score_others(samples, positive, texts)
    breaks = measure_breaks(samples, positive, groups)
    return [Placement(float(score), breaks, breaks.grade(float(score)) if breaks else None) for score in scores]
