"""Fit the axis between the poles, the difference of their mean vectors, and score texts along it.

The platform's models score in this way (``balanced_cosine``: the platform's contract, section 5), so the pole scores,
the probe and the search for shortcuts use the same axis.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from engine.text.embedding import Vectors

Numbers = NDArray[np.float64]
Flags = Sequence[bool] | NDArray[np.bool_]
FOLDS = 5
# Decimals of rounded scores: equal vectors in different rows of a matrix may differ in the last digits.
DECIMALS = 6


def fit_axis(vectors: Vectors, positive: Flags) -> Vectors:
    """Return the difference of the poles' means, scaled to length 1; zeros if a pole is empty or the means agree."""
    chosen = np.asarray(positive, dtype=bool)
    if not chosen.any() or chosen.all():
        return np.zeros(vectors.shape[1])
    axis = vectors[chosen].mean(axis=0) - vectors[~chosen].mean(axis=0)
    length = float(np.linalg.norm(axis))
    return np.asarray(axis / length if length > 0 else axis, dtype=np.float64)


def score_held_out(vectors: Vectors, positive: Flags, groups: Sequence[str]) -> Numbers:
    """Score each text on an axis that is fit to all further folds and centred between the poles: above 0 is positive.

    Args:
        vectors: shape (n, d).
        groups: the group of each text, such as its pair. A group is never divided between folds, so that features that
            its texts share, such as their subject, cannot help.

    Returns:
        Shape (n,): cosine-like scores in about [-1, 1]; 0 if a pole is missing from the other folds.
    """
    chosen = np.asarray(positive, dtype=np.bool_)
    scores = np.zeros(len(vectors))
    for fold in _split_groups(groups):
        rest = ~fold
        scores[fold] = score_others(vectors[rest], chosen[rest], vectors[fold])
    return scores


def name_group(pair_id: str | None, seed_sha256: str | None, text: str) -> str:
    """Return the group of a text for ``score_held_out``: its complete pair, else its varied seed, else the text."""
    return pair_id or seed_sha256 or text


def score_others(vectors: Vectors, positive: Flags, others: Vectors) -> Numbers:
    """Score other texts on the axis that is fit to all texts of a set, in the unit of ``score_held_out``.

    Args:
        vectors: the set's texts, shape (n, d).
        others: shape (m, d).

    Returns:
        Shape (m,); all 0 if a pole is empty.
    """
    chosen = np.asarray(positive, dtype=np.bool_)
    if chosen.all() or not chosen.any():
        return np.zeros(len(others))
    axis = fit_axis(vectors, chosen)
    scores = vectors @ axis
    middle = (scores[chosen].mean() + scores[~chosen].mean()) / 2
    return np.asarray(np.round(others @ axis - middle, DECIMALS), dtype=np.float64)


def measure_left_out(positive: Vectors, negative: Vectors) -> float | None:
    """Return the leave-pair-out AUC of texts in closed form; None for fewer than two at a pole.

    Each pair of a positive and a negative text is left out together, and counts if the positive one scores higher on
    the axis between the means of the rest. Leaving out single texts would push the AUC of few texts below chance, since
    each pulls its pole's mean (Airola et al. 2011, section 3). With the sums P and N of the poles, the axis without p
    and q is (P - p) / (n - 1) - (N - q) / (m - 1), so one product of the two matrices gives all pairs.

    Args:
        positive: shape (n, d).
        negative: shape (m, d).
    """
    if min(len(positive), len(negative)) < 2:
        return None
    n, m = len(positive) - 1, len(negative) - 1
    sums = positive.sum(axis=0), negative.sum(axis=0)
    above = (positive @ sums[0] - np.einsum("nd,nd->n", positive, positive)) / n - positive @ sums[1] / m
    below = negative @ sums[0] / n - (negative @ sums[1] - np.einsum("nd,nd->n", negative, negative)) / m
    margins = np.round(above[:, None] - below + positive @ negative.T * (1 / n + 1 / m), DECIMALS)
    return float(np.mean((np.sign(margins) + 1) / 2))


def rank_auc(scores: Sequence[float] | Numbers, positive: Flags) -> float | None:
    """Return the AUC: the share of pairs with a higher score for the positive text; ties count half.

    None if a pole is empty. This is the area under the ROC curve by the Mann-Whitney U statistic (Hanley and McNeil
    1982).
    """
    values, chosen = np.asarray(scores, dtype=np.float64), np.asarray(positive, dtype=bool)
    count, others = int(chosen.sum()), int((~chosen).sum())
    if not count or not others:
        return None
    # Ranks from 1; equal values share their mean rank.
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    return float((ranks[chosen].sum() - count * (count + 1) / 2) / (count * others))


def _split_groups(groups: Sequence[str]) -> list[NDArray[np.bool_]]:
    """Return one mask for each fold: the groups, in the order of their first text, in runs of about equal size."""
    names = list(dict.fromkeys(groups))
    number = {name: index for index, name in enumerate(names)}
    numbers = np.array([number[name] for name in groups])
    count = min(FOLDS, len(names))
    ends = [len(names) * fold // count for fold in range(count + 1)] if count else []
    return [(numbers >= start) & (numbers < end) for start, end in pairwise(ends)]
