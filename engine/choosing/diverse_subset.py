"""Select a few good and different candidates from many, with a determinantal point process."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engine.text.embedding import Vectors

# A larger value gives scores less weight relative to distance: quality is exp(score / 2 BALANCE), with scores in
# standard deviations. At 3 the sets had a tenth more diversity (Vendi) than the best by score alone and taught as well;
# facility location changed little at any weight (docs/decisions/003-choice.md).
BALANCE = 3.0
# Keeps the kernel positive definite if two candidates are equal.
RIDGE = 1e-6
# With more entries, the update would need over half a gigabyte, so the candidates with the best scores are selected.
MAX_ENTRIES = 60_000_000
BLOCK, LIKELY = 64, 128


def select_diverse(scores: Sequence[float], vectors: Vectors, count: int) -> list[int]:
    """Return the indices of at most ``count`` candidates, in the order of selection.

    This is the greedy MAP of a k-DPP with kernel ``q_i q_j <v_i, v_j>`` and ``q = exp(score / 2 BALANCE)``, with
    standardised scores (Kulesza and Taskar 2012, section 3; the update of Chen et al. 2018, algorithm 1): O(count² n).

    Args:
        scores: higher is better; the first of equal candidates is picked.
        vectors: shape (n, d), rows of length 1 or 0.
    """
    if count >= len(scores) or count * len(scores) > MAX_ENTRIES:
        return sorted(range(len(scores)), key=lambda index: (-scores[index], index))[:count]
    quality = _score_to_quality(scores)
    gain = quality**2 * (np.einsum("nd,nd->n", vectors, vectors) + RIDGE)
    rows = np.zeros((count, len(scores)))
    picked: list[int] = []
    begun, residuals = 0, dict[int, Vectors]()

    def compute_residual(candidates: NDArray[np.int64]) -> Vectors:
        """Return the candidates' rows of the kernel after the picks before this block."""
        kernel = np.outer(quality[candidates], quality) * (vectors[candidates] @ vectors.T)
        kernel[np.arange(len(candidates)), candidates] += quality[candidates] ** 2 * RIDGE
        return kernel - rows[:begun, candidates].T @ rows[:begun]

    for turn in range(count):
        if turn % BLOCK == 0:
            # Gains only fall, so nearly all picks of a block are among the best at its start. One matrix product for
            # these takes a third of the time of a product for each pick.
            begun, likely = turn, np.argsort(-gain, kind="stable")[:LIKELY]
            residuals = dict(zip(likely.tolist(), compute_residual(likely), strict=True))
        best = int(np.argmax(np.round(gain, 9)))
        picked.append(best)
        if best not in residuals:
            residuals[best] = compute_residual(np.array([best]))[0]
        before = rows[begun:turn].T @ rows[begun:turn, best]
        rows[turn] = (residuals[best] - before) / np.sqrt(max(gain[best], RIDGE * 1e-3))
        gain = gain - rows[turn] ** 2
        gain[best] = -np.inf
    return picked


def _score_to_quality(scores: Sequence[float]) -> Vectors:
    values = np.asarray(scores, dtype=np.float64)
    spread = float(values.std())
    standard = (values - values.mean()) / spread if spread > 0 else np.zeros_like(values)
    return np.asarray(np.exp(standard / (2 * BALANCE)), dtype=np.float64)
