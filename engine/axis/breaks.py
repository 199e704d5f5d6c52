"""Find the breaks between a trait's two clusters on the axis between its poles, and grade texts by them.

The platform grades by three breaks between the axis scores of the two training clusters (its contract, section 7).
Breaks here have the unit of the axis, as ``score_held_out`` returns it, not the platform's scale from 0 to 100. The
clusters are the scores of ``score_held_out``. Scores on an axis that was fit to the same texts are too optimistic: each
text pulls the axis towards itself, and the fewer the texts, the stronger the pull.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from engine.axis.separation import DECIMALS, Flags, Numbers, score_held_out
from engine.text.embedding import Vectors

Band = Literal["below developing", "developing", "solid", "strong"]
Confidence = Literal["low", "moderate", "high"]

# With fewer texts at a pole, its quartiles are single texts, and no fold of the probe can fit an axis.
MIN_TEXTS = 4


@dataclass(frozen=True, slots=True)
class Grade:
    """A text's grade. ``band`` is None if the clusters overlap: then there is no grade."""

    band: Band | None
    confidence: Confidence


@dataclass(frozen=True, slots=True)
class Breaks:
    """The three breaks of one trait, in the unit of the axis: differences of cosines, about -1 to 1, 0 in the middle.

    Args:
        developing: the 75th percentile of the negative texts.
        solid: the 25th percentile of the positive texts, or ``developing`` if that is higher.
        strong: the 75th percentile of the positive texts, or ``solid`` if that is higher.
        gap: the 25th percentile of the positive texts minus the 75th percentile of the negative texts. The clusters
            overlap if it is below 0.
        texts: the number of texts in the smaller cluster.
    """

    developing: float
    solid: float
    strong: float
    gap: float
    texts: int

    @property
    def overlap(self) -> bool:
        """Return whether the clusters overlap."""
        return self.gap < 0

    def grade(self, score: float) -> Grade:
        """Grade a text by its score: high confidence inside a cluster, moderate in the gap, no grade if they overlap.

        Args:
            score: in the unit of the axis, as ``score_others`` returns it.
        """
        if self.overlap:
            return Grade(None, "low")
        if score >= self.solid:
            return Grade("strong" if score >= self.strong else "solid", "high")
        return Grade("developing", "moderate") if score >= self.developing else Grade("below developing", "high")


def measure_breaks(vectors: Vectors, positive: Flags, groups: Sequence[str]) -> Breaks | None:
    """Find the breaks of texts from their held-out scores; see ``score_held_out``."""
    chosen = np.asarray(positive, dtype=np.bool_)
    scores = score_held_out(vectors, chosen, groups)
    return find_breaks(scores[chosen], scores[~chosen])


def find_breaks(positive: Sequence[float] | Numbers, negative: Sequence[float] | Numbers) -> Breaks | None:
    """Find the breaks between the held-out scores of both poles' texts; None for fewer than four texts at a pole."""
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
