"""Selects from many candidates a few that are good and differ from one another, by a determinantal point process."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engine.text.embedding import Vectors

# The larger this is, the less scores count beside distance: quality is exp(score / 2 BALANCE), scores in standard
# deviations. At 3 the sets had a tenth more variety (Vendi) than the best by score alone, and taught as well; facility
# location changed little at any weight (docs/decisions/003-choice.md).
BALANCE = 3.0
# Keeps the kernel positive definite if two candidates are equal.
RIDGE = 1e-6
# With more entries the update would take over half a gigabyte; then the best by score are taken.
MAX_ENTRIES = 60_000_000
BLOCK, LIKELY = 64, 128


def select_diverse(scores: Sequence[float], vectors: Vectors, count: int) -> list[int]:
    """Returns the indices of at most ``count`` candidates, in the order in which they are picked.

    This is the greedy MAP of a k-DPP with kernel ``q_i q_j <v_i, v_j>`` and ``q = exp(score / 2 BALANCE)``, with
    standardised scores (Kulesza and Taskar 2012, section 3; the update of Chen et al. 2018, algorithm 1): O(count² n).

    Args:
        scores: higher is better; of equal candidates the first is picked.
        vectors: shape (n, d), rows of length 1 or 0.
    """
    if count >= len(scores) or count * len(scores) > MAX_ENTRIES:
        return sorted(range(len(scores)), key=lambda index: (-scores[index], index))[:count]
    quality = _score_to_quality(scores)
    own = quality**2 * (np.einsum("nd,nd->n", vectors, vectors) + RIDGE)
    rows = np.zeros((count, len(scores)))
    picked: list[int] = []
    begun, left = 0, dict[int, Vectors]()

    def find_left(candidates: NDArray[np.int64]) -> Vectors:
        """What the picks before this block leave of the candidates' rows of the kernel."""
        kernel = np.outer(quality[candidates], quality) * (vectors[candidates] @ vectors.T)
        kernel[np.arange(len(candidates)), candidates] += quality[candidates] ** 2 * RIDGE
        return kernel - rows[:begun, candidates].T @ rows[:begun]

    for turn in range(count):
        if turn % BLOCK == 0:
            # What is own only falls, so nearly all picks of a block are among its best: one product of matrices for
            # these takes a third of the time of a product for each pick.
            begun, likely = turn, np.argsort(-own, kind="stable")[:LIKELY]
            left = dict(zip(likely.tolist(), find_left(likely), strict=True))
        best = int(np.argmax(np.round(own, 9)))
        picked.append(best)
        if best not in left:
            left[best] = find_left(np.array([best]))[0]
        before = rows[begun:turn].T @ rows[begun:turn, best]
        rows[turn] = (left[best] - before) / np.sqrt(max(own[best], RIDGE * 1e-3))
        own = own - rows[turn] ** 2
        own[best] = -np.inf
    return picked


def _score_to_quality(scores: Sequence[float]) -> Vectors:
    values = np.asarray(scores, dtype=np.float64)
    spread = float(values.std())
    standard = (values - values.mean()) / spread if spread > 0 else np.zeros_like(values)
    return np.asarray(np.exp(standard / (2 * BALANCE)), dtype=np.float64)
