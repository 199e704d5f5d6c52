"""Finds authored samples that read as the other pole, by an axis that is fit to the others (``balanced_cosine``)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.axis.separation import Numbers, measure_left_out
from engine.text.embedding import Vectors

# A text is named where it lies so far on the other pole's side, in halves of the distance between the poles' means, and
# the texts that are not named tell the poles apart as well as this. Of some 400 hand-written texts at their pole none
# was named, of 696 whose label was turned over 23 %, and 3 others beside them (docs/decisions/056).
MARGIN = 0.6
MIN_AUC = 0.98
# Where all texts together tell them apart less well, it is more than a text or two.
MIN_AUC_OF_ALL = 0.85
# With fewer at a pole the axis is that of single texts.
MIN_TEXTS = 5
# Of more texts than this share of the smaller pole it is not the texts that are wrong, but the axis.
MAX_SHARE = 0.25


# An ordinary text, which nobody has held against the topic, is named from here on: of 24 against five topics four of
# the eight inside, and none of the others.
ORDINARY_MARGIN = 0.05


@dataclass(frozen=True, slots=True)
class Sides:
    """How far each text lies on its own pole's side: 1 is the mean of its pole, below 0 the other side.

    ``wrong`` are the texts that read as the other pole.
    """

    sides: Numbers
    wrong: NDArray[np.bool_]


def place_sides(vectors: Vectors, positive: Sequence[bool]) -> Numbers | None:
    """Places each text by all others, in the unit of ``Sides``; None where they hardly tell the poles apart.

    Args:
        vectors: shape (n, d), of length 1 each.
    """
    chosen = np.asarray(positive, dtype=np.bool_)
    if min(chosen.sum(), (~chosen).sum()) < MIN_TEXTS or _measure(vectors, chosen) < MIN_AUC_OF_ALL:
        return None
    return _place(vectors, chosen, np.ones(len(vectors), dtype=np.bool_))


def find_wrong_sides(vectors: Vectors, positive: Sequence[bool]) -> Sides | None:
    """Places each text by the others; None where they are too few, or do not tell the poles apart well enough.

    The text that lies farthest on the other side goes first: while it is among the others, it pulls the axis its way,
    and right ones seem wrong.

    Args:
        vectors: shape (n, d), of length 1 each.
    """
    if place_sides(vectors, positive) is None:
        return None
    chosen = np.asarray(positive, dtype=np.bool_)
    fewest = min(int(chosen.sum()), int((~chosen).sum()))
    fitted = np.ones(len(vectors), dtype=np.bool_)
    while True:
        sides = _place(vectors, chosen, fitted)
        worst = int(np.argmin(np.where(fitted, sides, np.inf)))
        if sides[worst] >= -MARGIN:
            break
        fitted[worst] = False
        if (~fitted).sum() > MAX_SHARE * fewest:
            return None
    if _measure(vectors[fitted], chosen[fitted]) < MIN_AUC:
        return None
    return Sides(sides, ~fitted & (sides < -MARGIN))


def _measure(vectors: Vectors, positive: NDArray[np.bool_]) -> float:
    return measure_left_out(vectors[positive], vectors[~positive]) or 0.0


def _place(vectors: Vectors, positive: NDArray[np.bool_], fitted: NDArray[np.bool_]) -> Numbers:
    """Places each text on the axis between the means of the fitted ones, without itself."""
    means = {}
    for pole in (True, False):
        own = fitted & (positive == pole)
        counts = own.sum() - own
        means[pole] = (vectors[own].sum(axis=0) - vectors * own[:, None]) / counts[:, None]
    axes = means[True] - means[False]
    halves = np.einsum("nd,nd->n", axes, axes) / 2
    places = np.einsum("nd,nd->n", vectors - (means[True] + means[False]) / 2, axes)
    sides = np.divide(places, halves, out=np.zeros(len(vectors)), where=halves > 0)
    return np.asarray(np.where(positive, sides, -sides), dtype=np.float64)
