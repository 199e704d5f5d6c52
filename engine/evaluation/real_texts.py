"""Evaluate the axis of a trait's samples on texts that a user has labelled, and score single texts on it.

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
from engine.domain.definition import Pole
from engine.domain.model import POLES, POLES_BY_QUALITY, Attached, Seed, digest_text
from engine.text.embedding import Vectors
from engine.text.words import drop_unseen, normalise

# More texts at a pole hardly narrow the interval, and embedding them takes minutes: with 1,000 a pole and an AUC of .8,
# the interval is from .780 to .819.
MAX_REAL_PER_POLE = 1_000
# The longest text that is scored: 20,000 characters take the encoder about a second, and memory grows with the length.
MAX_CHARACTERS = 20_000
# The quantile of the normal distribution for an interval of 95 %.
Z_95 = 1.959964
Item = TypeVar("Item", Seed, Attached)
# Reasons for leaving a labelled text out of the evaluation. A "between" text is at neither pole; an "attached" one
# would be scored by itself; an "authored" one would flatter those samples; "surplus" is above ``MAX_REAL_PER_POLE``.
LEFT_OUT = {
    "conflicting_labels": "labelled both ways",
    "between": "between the poles",
    "long": f"longer than {MAX_CHARACTERS:,} characters",
    "attached": "an attached sample itself",
    "authored": "an authored sample itself",
    "surplus": "surplus",
}


@dataclass(frozen=True, slots=True)
class Reach:
    """The separation of labelled texts by an axis that was not fit to them: the AUC in [0, 1] and its 95 % interval."""

    auc: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Placement:
    """The score of a text, in the unit of ``score_others``, and its breaks and grade; None with too few samples."""

    score: float
    breaks: Breaks | None
    grade: Grade | None

    @property
    def side(self) -> Pole | None:
        """Return the pole that the text leans to; None in the middle."""
        return None if self.score == 0 else "positive" if self.score > 0 else "negative"


def draw_at_poles(items: Sequence[Item], most: int) -> list[Item]:
    """Return at most ``most`` texts at each pole, the ones with the least SHA-256, in their original order."""
    drawn: set[int] = set()
    for quality in POLES_BY_QUALITY:
        at_pole = [item for item in items if item.quality == quality]
        if len(at_pole) > most:
            at_pole = heapq.nsmallest(most, at_pole, key=lambda item: digest_text(item.text))
        drawn |= set(map(id, at_pole))
    return [item for item in items if id(item) in drawn]


def choose_real_texts(
    real: Sequence[Seed], attached: Collection[str], authored: Collection[str]
) -> tuple[list[Seed], dict[str, int]]:
    """Choose the labelled texts of one trait that count, in their order; if too many, the ones with the least SHA-256.

    Args:
        attached: the attached samples of the trait. Texts are the same if their normal forms are.
        authored: the authored samples of the trait.

    Returns:
        The texts, and the number of left-out texts by reason, a key of ``LEFT_OUT``.
    """
    attached_forms = set(map(normalise, attached))
    authored_forms = set(map(normalise, authored)) - attached_forms
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
        elif form in attached_forms or form in authored_forms:
            left_out["attached" if form in attached_forms else "authored"] += 1
        else:
            new.append(seed)
    drawn = draw_at_poles(new, MAX_REAL_PER_POLE)
    left_out["surplus"] = len(new) - len(drawn)
    return drawn, {reason: left_out[reason] for reason in LEFT_OUT if left_out[reason]}


def measure_reach(scores: Numbers, positive: Flags) -> Reach | None:
    """Measure how well an axis separates real texts, from their scores; None if a pole has no texts."""
    auc = rank_auc(scores, positive)
    if auc is None:
        return None
    count = int(np.sum(positive))
    return Reach(auc, *bound_auc(auc, count, len(scores) - count))


def list_wrong_side(scores: Numbers, positive: Flags) -> list[tuple[int, float]]:
    """Return index and score of the real texts that an axis scores on the wrong side, the farthest first."""
    sides = np.where(np.asarray(positive, dtype=bool), scores, -scores)
    return [(int(index), float(scores[index])) for index in np.argsort(sides, kind="stable") if sides[index] < 0]


def bound_auc(auc: float, positives: int, negatives: int) -> tuple[float, float]:
    """Return the 95 % interval of an AUC: all values less than 1.96 standard errors away from it.

    The standard error is by Hanley and McNeil (1982), at the bound itself and with both counts replaced by their mean
    (Newcombe 2006, Statistics in Medicine 25:559, method 5). In 1,500 draws of two normal clusters, each with 5, 10, 20
    and 40 texts a pole and true AUCs of .6, .8, .9 and .97, the interval covered the true AUC in 94 to 98 of 100 draws.
    The intervals of DeLong (1988) and of Hanley and McNeil, with no width at an AUC of 1, covered it in 35 to 95.
    """
    values = np.append(np.linspace(0, 1, 100_001), auc)
    spread = (1 - values) / (2 - values) + values / (1 + values)
    factor = 1 + ((positives + negatives) / 2 - 1) * spread
    errors = np.sqrt(values * (1 - values) * factor / (positives * negatives))
    near = values[np.abs(values - auc) <= Z_95 * errors]
    return float(near.min()), float(near.max())


def place_texts(samples: Vectors, positive: Flags, groups: Sequence[str], texts: Vectors) -> list[Placement]:
    """Score and grade texts on the axis of a trait's samples, which must include both poles.

    Args:
        samples: their vectors, shape (n, d); ``positive`` marks the samples at the positive pole.
        groups: the group of each sample, such as its pair; see ``score_held_out``.
        texts: their vectors, shape (m, d).
    """
    scores = score_others(samples, positive, texts)
    breaks = measure_breaks(samples, positive, groups)
    return [Placement(float(score), breaks, breaks.grade(float(score)) if breaks else None) for score in scores]
