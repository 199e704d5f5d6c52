"""Predicts what twice as many texts would bring a trait, from axes that are fit to parts of those that there are.

An axis between the means of n texts a pole is the true difference D of the poles, and noise with the covariance S / n,
where S is the sum of the poles' covariances. So the scores of two texts differ by |D|^2 on average, with the variance
D'SD + tr(S^2) / n, and

    AUC(n) = Phi(z / sqrt(1 + r / n)),    z = |D|^2 / sqrt(D'SD),    r = tr(S^2) / D'SD.

That an error falls towards its limit as 1 / n, so that small samples show where it goes, is Fukunaga and Hayes (1989).
Here z is what endless texts would reach, and r how many texts a pole make half of the variance.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from engine.quality.separation import DECIMALS, Flags, Numbers, rank_auc
from engine.text.embedding import Vectors

Masks = NDArray[np.bool_]
Whole = NDArray[np.int_]

# With fewer texts at a pole a part of them is one text or two.
MIN_TEXTS = 8
# More texts a pole are not looked at: the curve is flat long before, and the work grows with their square.
MOST_TEXTS = 320
SHARES = (1 / 8, 1 / 4, 1 / 2, 3 / 4, 7 / 8)
DRAWS = 20
SEED = 0
# What is known of r beforehand: its logarithm is normal. Of eleven sets of human-labelled texts r was between 2 and
# 17; of clouds of 300 dimensions without any structure 70 to 600 (docs/decisions/046).
USUAL_SLOWNESS, SLOWNESS_SPREAD = 16.0, 1.5
# The variance of what tells the points of one curve from each other, as a share of that of their level: all are
# measured on the same texts. Twice the error then held in 98 to 100 % of 756 predictions on real texts.
SHAPE_VARIANCE = 0.3
_CEILINGS: Numbers = np.linspace(0, 5, 126)
_SLOWNESS: Numbers = np.geomspace(0.25, 2048, 70)
# Keeps the variance of an AUC of 1 above 0.
_LEAST_VARIANCE = 1e-6
_FIGURES = 4


@dataclass(frozen=True, slots=True)
class LearningCurve:
    """How well axes tell a trait's poles apart on texts that they have not seen, by the number of texts behind them.

    All AUCs are in [0, 1]; an error is a standard error, by which the figure is off in one case of three.

    Args:
        texts: the texts at each pole; those of the smaller one if the poles differ.
        points: for parts of the texts, how many at each pole the axes were fit to and their mean AUC on the others.
        auc: the curve's own for all texts.
        gain: what twice as many texts would add to it, on average over all sets of that size.
        change_error: how far from the gain the change may lie that is measured where a new set of twice as many texts
            takes the place of these: beside the error of the gain, that of measuring both.
    """

    texts: int
    points: tuple[tuple[int, float], ...]
    auc: float
    auc_error: float
    gain: float
    gain_error: float
    change_error: float


def draw_curve(vectors: Vectors, positive: Flags, groups: Sequence[str]) -> LearningCurve | None:
    """Draws the learning curve of a trait's texts; None for fewer than eight at a pole.

    Args:
        vectors: shape (n, d).
        groups: the group of each text, such as its pair. If an axis is fit to one text of a group, none of its texts is
            tested on it.
    """
    chosen = np.asarray(positive, dtype=np.bool_)
    texts = min(int(chosen.sum()), int((~chosen).sum()))
    if texts < MIN_TEXTS:
        return None
    kept = np.where(chosen, np.cumsum(chosen), np.cumsum(~chosen)) <= MOST_TEXTS
    points = _measure_points(vectors[kept], chosen[kept], _number(groups)[kept])
    auc, auc_error, gain, gain_error = _extrapolate(points, texts)
    rounded = tuple((size, round(value, _FIGURES)) for size, value in points)
    strays = _estimate_variance(np.array(auc), texts) + _estimate_variance(np.array(auc + gain), 2 * texts)
    change_error = round(math.sqrt(gain_error**2 + float(strays)), _FIGURES)
    return LearningCurve(texts, rounded, auc, auc_error, gain, gain_error, change_error)


def _number(groups: Sequence[str]) -> Whole:
    numbers = {name: index for index, name in enumerate(dict.fromkeys(groups))}
    return np.array([numbers[name] for name in groups])


def _measure_points(vectors: Vectors, chosen: Masks, groups: Whole) -> list[tuple[int, float]]:
    """Returns for each size the mean AUC of axes that are fit to so many random texts at each pole."""
    products = vectors @ vectors.T
    orders = np.random.default_rng(SEED).permuted(np.tile(np.arange(np.max(groups) + 1), (DRAWS, 1)), axis=1)[:, groups]
    ranks = np.where(chosen, _rank(orders, chosen), _rank(orders, ~chosen))
    texts = min(int(chosen.sum()), int((~chosen).sum()))
    points = []
    for size in sorted({max(1, int(share * texts)) for share in SHARES}):
        fitted = ranks < size
        # The sum of a text's products with the texts of an axis, by the sign of their pole, is its score.
        scores = np.round(np.where(chosen, fitted, -1.0 * fitted) @ products / size, DECIMALS)
        if aucs := list(_measure_rest(scores, fitted, chosen, groups)):
            points.append((size, float(np.mean(aucs))))
    return points


def _rank(orders: Whole, own: Masks) -> Whole:
    """Returns the place of each text among those of its own pole, in each order."""
    behind = np.where(own, orders, np.max(orders) + 1)
    return np.argsort(np.argsort(behind, axis=1, kind="stable"), axis=1, kind="stable")


def _measure_rest(scores: Numbers, fitted: Masks, chosen: Masks, groups: Whole) -> Iterator[float]:
    """Measures in each draw the AUC of the texts whose group has no part in the axis."""
    for row, used in zip(scores, fitted, strict=True):
        rest = ~np.isin(groups, groups[used])
        auc = rank_auc(row[rest], chosen[rest])
        if auc is not None:
            yield auc


def _extrapolate(points: Sequence[tuple[int, float]], texts: int) -> tuple[float, float, float, float]:
    """Weighs all curves by how well they fit; returns AUC and gain of twice as many texts, each with its error."""
    now, doubled = np.moveaxis(_draw_curves([texts, 2 * texts]), -1, 0)
    weights = np.exp(-(((np.log(_SLOWNESS) - math.log(USUAL_SLOWNESS)) / SLOWNESS_SPREAD) ** 2) / 2)[None, :]
    if points:
        curves = _draw_curves([size for size, _ in points])
        off = np.array([auc for _, auc in points]) - curves
        level, variance = off.mean(axis=-1), _estimate_variance(curves, texts).mean(axis=-1)
        shape = ((off - level[..., None]) ** 2).mean(axis=-1)
        fit = -(level**2 / variance + np.log(variance) + shape / (SHAPE_VARIANCE * variance)) / 2
        weights = weights * np.exp(fit - np.max(fit))
    (auc, auc_error), (gain, gain_error) = (_average(values, weights) for values in (now, doubled - now))
    return auc, auc_error, gain, gain_error


def _average(values: Numbers, weights: Numbers) -> tuple[float, float]:
    """Returns the weighted mean and standard deviation."""
    mean = float(np.average(values, weights=np.broadcast_to(weights, values.shape)))
    squares = float(np.average((values - mean) ** 2, weights=np.broadcast_to(weights, values.shape)))
    return round(mean, _FIGURES), round(math.sqrt(squares), _FIGURES)


def _draw_curves(sizes: Sequence[int]) -> Numbers:
    """Returns the AUC of every curve of the grid at some sizes, shape (z, r, sizes)."""
    reached = _CEILINGS[:, None, None] / np.sqrt(1 + _SLOWNESS[None, :, None] / np.array(sizes, dtype=float))
    return np.asarray(np.interp(reached, *_tabulate_normal()), dtype=np.float64)


@cache
def _tabulate_normal() -> tuple[Numbers, Numbers]:
    places = np.linspace(0, _CEILINGS[-1], 2001)
    return places, np.array([NormalDist().cdf(place) for place in places])


def _estimate_variance(auc: Numbers, texts: int) -> Numbers:
    """Returns the variance of an AUC that is measured on so many texts at each pole (Hanley and McNeil 1982, (2))."""
    one, other = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    variance = (auc * (1 - auc) + (texts - 1) * (one + other - 2 * auc**2)) / texts**2
    return np.asarray(variance + _LEAST_VARIANCE, dtype=np.float64)
