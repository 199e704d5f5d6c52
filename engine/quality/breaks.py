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

from engine.quality.separation import DECIMALS, Flags, Numbers, score_held_out
from engine.text.embedding import Vectors

Band = Literal["below developing", "developing", "solid", "strong"]
Confidence = Literal["low", "moderate", "high"]
Sureness = Literal["apart", "overlapping", "unsure"]

# With fewer texts at a pole its quartiles are single texts, and no fold of the probe can fit an axis.
MIN_TEXTS = 4
# From so many texts at a pole on the interval of the gap holds what it promises. Of 90 % intervals between normal
# clusters 75 % held the true gap with 4 texts a pole, 88 % with 8, 91 % with 20, 40 and 160 (docs/decisions/046).
MIN_TEXTS_TO_BE_SURE = 8
INTERVAL = 0.9
DRAWS = 2000
BOOTSTRAP_SEED = 0


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
        gap_interval: where the gap of many more such texts would lie in 9 cases of 10.
        texts: how many texts the smaller cluster has.
    """

    developing: float
    solid: float
    strong: float
    gap: float
    gap_interval: tuple[float, float]
    texts: int

    @property
    def overlap(self) -> bool:
        """Whether the clusters overlap."""
        return self.gap < 0

    @property
    def sureness(self) -> Sureness:
        """What the interval of the gap says: more such texts might turn only what is unsure."""
        low, high = self.gap_interval
        if self.texts < MIN_TEXTS_TO_BE_SURE or low < 0 <= high:
            return "unsure"
        return "apart" if low >= 0 else "overlapping"

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
    generator = np.random.default_rng(BOOTSTRAP_SEED)
    gaps = _draw_percentiles(above, 25, generator) - _draw_percentiles(below, 75, generator)
    margin = 50 * (1 - INTERVAL)
    lowest, highest = np.percentile(gaps, (margin, 100 - margin))
    return Breaks(
        developing=_round(developing),
        solid=_round(solid),
        strong=_round(max(high, solid)),
        gap=_round(low - developing),
        gap_interval=(_round(lowest), _round(highest)),
        texts=texts,
    )


def _draw_percentiles(values: Numbers, percent: float, generator: np.random.Generator) -> Numbers:
    """Draws a percentile of bootstrap samples of sorted values.

    The k-th smallest of n uniform numbers has the distribution Beta(k, n + 1 - k) (David and Nagaraja 2003, section
    2.3), so two numbers stand for a whole sample, however many values there are.
    """
    count, at = len(values), (len(values) - 1) * percent / 100
    rank = int(at) + 1
    first = generator.beta(rank, count + 1 - rank, DRAWS)
    second = first + (1 - first) * generator.beta(1, count - rank, DRAWS)
    lower, upper = (values[np.minimum((place * count).astype(int), count - 1)] for place in (first, second))
    return np.asarray(lower + (at - rank + 1) * (upper - lower), dtype=np.float64)


def _round(value: float) -> float:
    return round(float(value), DECIMALS)
