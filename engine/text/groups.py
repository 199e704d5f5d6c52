"""Groups vectors by direction, so that a few texts can stand for many."""

import numpy as np
from numpy.typing import NDArray

from engine.text.embedding import Vectors, normalise_rows

# More turns change few texts' groups.
TURNS = 10
DECIMALS = 6


def group_rows(vectors: Vectors, count: int) -> tuple[NDArray[np.int64], Vectors]:
    """Groups rows around at most ``count`` centres (spherical k-means: Dhillon and Modha 2001).

    Args:
        vectors: shape (n, d), at least one row, each of length 1 or 0.

    Returns:
        The number of each row's group, shape (n,), and the centres, unit rows. A group may be empty.
    """
    centres = _choose_first(vectors, count)
    owners = np.zeros(len(vectors), dtype=np.int64)
    for _ in range(TURNS):
        owners = np.argmax(np.round(vectors @ centres.T, DECIMALS), axis=1)
        sums = [vectors[owners == number].sum(axis=0) for number in range(len(centres))]
        centres = normalise_rows(np.array(sums))
    return owners, centres


def _choose_first(vectors: Vectors, count: int) -> Vectors:
    """Draws the first centres, each by how far it lies from those before (Arthur and Vassilvitskii 2007)."""
    rng, chosen = np.random.default_rng(0), [0]
    far = np.ones(len(vectors))
    while len(chosen) < count:
        far = np.round(np.clip(1 - vectors @ vectors[chosen[-1]], 0, far), DECIMALS)
        far[chosen] = 0
        if not far.any():
            break
        chosen.append(int(rng.choice(len(vectors), p=far / far.sum())))
    return vectors[chosen]
