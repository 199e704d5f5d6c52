"""Measures the angle between the axes of two traits without what few texts show by chance.

The difference between the means of a few texts is longer than that of many, and points elsewhere, so two axes seem to
have less in common than they do. Here their products are taken over pairs of texts that share nothing, which leaves
chance out: with itself such a product is the unbiased estimate of MMD² with a linear kernel (Gretton et al. 2012,
lemma 6), and the cosine is then what Spearman (1904) calls corrected for attenuation. The jackknife (Efron and Stein
1981) says how far it may be off.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from engine.quality.separation import Numbers
from engine.text.embedding import Vectors

# The jackknife leaves out one of so many parts of the names at a time.
PARTS = 10


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Some texts.

    Args:
        vectors: shape (n, d).
        names: a name for each text; texts of one name, such as those of a pair, are never multiplied with each other.
    """

    vectors: Vectors
    names: Sequence[str]


@dataclass(frozen=True, slots=True, eq=False)
class Contrast:
    """The difference of the means of two groups, such as the axis between two poles."""

    above: Group
    below: Group


@dataclass(frozen=True, slots=True)
class Cosine:
    """A cosine between two differences as it would be with very many texts, and its standard error.

    That of few texts may pass 1 a little.
    """

    value: float
    error: float


def measure_cosine(one: Contrast, other: Contrast) -> Cosine | None:
    """Measures the cosine between two differences.

    None with fewer than two names in a group, and where one of them is no longer than chance makes it, or would not be
    without a tenth of its texts.
    """
    groups = one.above, one.below, other.above, other.below
    products = _Products(groups)
    parts = _split_names(groups, products)
    values = [products.measure_cosine(left_out) for left_out in (np.zeros(products.size, np.bool_), *parts)]
    known = np.array([value for value in values if value is not None])
    if len(known) < len(values):
        return None
    error = math.sqrt((PARTS - 1) / PARTS * float(np.square(known[1:] - known[1:].mean()).sum()))
    return Cosine(float(known[0]), error)


class _Products:
    """The products of all texts of four groups, those of two differences, with each other."""

    def __init__(self, groups: Sequence[Group]) -> None:
        names = [name for group in groups for name in group.names]
        numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
        self.names = np.array([numbers[name] for name in names], np.int64)
        self.size = len(names)
        self._apart = (self.names[:, None] != self.names).astype(np.float64)
        vectors = np.concatenate([group.vectors for group in groups])
        self._products = vectors @ vectors.T * self._apart
        sides = np.repeat(np.arange(len(groups)), [len(group.names) for group in groups])
        self._members = [(sides == side).astype(np.float64) for side in range(len(groups))]

    def measure_cosine(self, left_out: NDArray[np.bool_]) -> float | None:
        """The cosine without some of the texts."""
        members = [np.where(left_out, 0.0, group) for group in self._members]
        one, other = members[:2], members[2:]
        between, *squares = (self._multiply(*pair) for pair in ((one, other), (one, one), (other, other)))
        if between is None or not all(square is not None and square > 0 for square in squares):
            return None
        return between / math.sqrt(math.prod(square for square in squares if square is not None))

    def _multiply(self, one: Sequence[Numbers], other: Sequence[Numbers]) -> float | None:
        """The product of two differences: the averages over pairs of texts of two groups that have different names."""
        total = 0.0
        for (sign, group), (other_sign, beside) in product(
            zip((1, -1), one, strict=True), zip((1, -1), other, strict=True)
        ):
            pairs = group @ self._apart @ beside
            if not pairs:
                return None
            total += sign * other_sign * float(group @ self._products @ beside / pairs)
        return total


def _split_names(groups: Sequence[Group], products: _Products) -> list[NDArray[np.bool_]]:
    """Masks of texts to be left out together, so that each has a like share of the names of every group."""
    part: dict[int, int] = {}
    begin = 0
    for group in groups:
        own = dict.fromkeys(products.names[begin : begin + len(group.names)].tolist())
        for number, name in enumerate(own):
            part.setdefault(name, number % PARTS)
        begin += len(group.names)
    parts = np.array([part[name] for name in products.names.tolist()], np.int64)
    return [parts == number for number in range(PARTS)]
