"""The axis: what a set teaches is the difference of its poles' mean vectors, and places of texts along it.

A model of the platform scores by it (``balanced_cosine``: the platform's contract, section 5), and a probe that fits
the same thing asks whether it can be learned.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from engine.text.embedding import Vectors

Numbers = NDArray[np.float64]
Flags = Sequence[bool] | NDArray[np.bool_]
FOLDS = 5
# Decimals of a place that stay: equal vectors may differ in the last ones by where they stand in a matrix.
DECIMALS = 6


def fit_axis(vectors: Vectors, positive: Flags) -> Vectors:
    """The difference of the poles' means, of length 1; 0 where a pole has no text or the means agree."""
    chosen = np.asarray(positive, dtype=bool)
    if not chosen.any() or chosen.all():
        return np.zeros(vectors.shape[1])
    axis = vectors[chosen].mean(axis=0) - vectors[~chosen].mean(axis=0)
    length = float(np.linalg.norm(axis))
    return np.asarray(axis / length if length > 0 else axis, dtype=np.float64)


def score_held_out(vectors: Vectors, positive: Flags, groups: Sequence[str], folds: int = FOLDS) -> Numbers:
    """The place of each text on an axis that was fit without its group: centred between the poles, positive above 0.

    Args:
        vectors: shape (n, d).
        groups: of each text; a group (a pair of one subject) lies in one fold whole, so that its subject is no help.
        folds: fewer where there are fewer groups.

    Returns:
        Shape (n,): cosine-like numbers in about [-1, 1]; 0 where the other folds lack a pole.
    """
    chosen = np.asarray(positive, dtype=np.bool_)
    places = np.zeros(len(vectors))
    for fold in _split_groups(groups, folds):
        rest = ~fold
        if chosen[rest].all() or not chosen[rest].any():
            continue
        axis = fit_axis(vectors[rest], chosen[rest])
        at = vectors[rest] @ axis
        middle = (at[chosen[rest]].mean() + at[~chosen[rest]].mean()) / 2
        places[fold] = vectors[fold] @ axis - middle
    return np.asarray(np.round(places, DECIMALS), dtype=np.float64)


def rank_auc(scores: Sequence[float] | Numbers, positive: Flags) -> float | None:
    """The share of pairs in which the positive scores higher, ties counting half; None where a pole is empty.

    The area under the ROC curve by the Mann-Whitney U statistic (Hanley and McNeil 1982).
    """
    values, chosen = np.asarray(scores, dtype=np.float64), np.asarray(positive, dtype=bool)
    count, others = int(chosen.sum()), int((~chosen).sum())
    if not count or not others:
        return None
    above = _rank(values)[chosen].sum() - count * (count + 1) / 2
    return float(above / (count * others))


def _rank(values: Numbers) -> Numbers:
    """Ranks from 1, equal values sharing the mean of theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray((ends - (counts - 1) / 2)[inverse], dtype=np.float64)


def _split_groups(groups: Sequence[str], folds: int) -> list[NDArray[np.bool_]]:
    """Masks of the folds: the groups in the order of their first text, cut into runs of about one size."""
    names = list(dict.fromkeys(groups))
    number = {name: index for index, name in enumerate(names)}
    at = np.array([number[name] for name in groups])
    count = min(folds, len(names))
    ends = [len(names) * fold // count for fold in range(count + 1)] if count else []
    return [(at >= start) & (at < end) for start, end in pairwise(ends)]
