"""Finds where a trait's two clusters lie on the axis between its poles, and grades a text by where it lies.

The platform grades by three breaks between the axis scores of the two training clusters (its contract, section 7). They
are given here in the axis' own unit, that of ``score_held_out``, and not on the platform's scale from 0 to 100. Scores
that texts have on the axis that was fit to themselves are too optimistic: each text pulls the axis towards itself, the
more so the fewer there are. So the clusters are those of ``score_held_out``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from engine.axis.separation import DECIMALS, Flags, Numbers, score_held_out
from engine.text.embedding import Vectors

Band = Literal["below developing", "developing", "solid", "strong"]
Confidence = Literal["low", "moderate", "high"]

# With fewer texts at a pole its quartiles are single texts, and no fold of the probe can fit an axis.
MIN_TEXTS = 4


@dataclass(frozen=True, slots=True)
class Grade:
    """A text's grade. ``band`` is None where the clusters overlap: then no grade is given."""

    band: Band | None
    confidence: Confidence


@dataclass(frozen=True, slots=True)
class Breaks:
    """The three breaks of one trait, in the axis' own unit: differences of cosines, about -1 to 1, 0 in the middle.

    Args:
        developing: the 75th percentile of the negative texts.
        solid: the 25th percentile of the positive texts, or ``developing`` if that is higher.
        strong: the 75th percentile of the positive texts, or ``solid`` if that is higher.
        gap: the 25th percentile of the positive texts less the 75th of the negative ones; the clusters overlap if it is
            below 0.
        texts: how many texts the smaller cluster has.
    """

    developing: float
    solid: float
    strong: float
    gap: float
    texts: int

    @property
    def overlap(self) -> bool:
        """Whether the clusters overlap."""
        return self.gap < 0

    def grade(self, score: float) -> Grade:
        """Grades a text by its score: high confidence inside a cluster, moderate in the gap, none where they overlap.

        Args:
            score: in the axis' own unit, such as that of ``score_others``.
        """
        if self.overlap:
            return Grade(None, "low")
        if score >= self.solid:
            return Grade("strong" if score >= self.strong else "solid", "high")
        return Grade("developing", "moderate") if score >= self.developing else Grade("below developing", "high")


def measure_breaks(vectors: Vectors, positive: Flags, groups: Sequence[str]) -> Breaks | None:
    """Finds the breaks of texts, each scored on an axis that is fit to the others; see ``score_held_out``."""
    chosen = np.asarray(positive, dtype=np.bool_)
    scores = score_held_out(vectors, chosen, groups)
    return find_breaks(scores[chosen], scores[~chosen])


def find_breaks(positive: Sequence[float] | Numbers, negative: Sequence[float] | Numbers) -> Breaks | None:
    """Finds the breaks between the held-out scores of both poles' texts; None for fewer than four at a pole."""
    above, below = np.sort(np.asarray(positive, dtype=float)), np.sort(np.asarray(negative, dtype=float))
    texts = min(len(above), len(below))
    if texts < MIN_TEXTS:
        return None
    (low, high), developing = np.percentile(above, (25, 75)), np.percentile(below, 75)
    solid = max(low, developing)
    return Breaks(
        developing=_round(developing),
        solid=_round(solid),
        strong=_round(max(high, solid)),
        gap=_round(low - developing),
        texts=texts,
    )


def _round(value: float) -> float:
    return round(float(value), DECIMALS)
