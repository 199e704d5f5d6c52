"""Many seeds, and vectors for them that cost nothing to compute."""

import hashlib
from collections.abc import Sequence

import numpy as np

from engine.domain.model import POLES, Seed
from engine.text.embedding import DIMENSIONS, Vectors, normalise_rows


def make_crowd(count: int) -> tuple[Seed, ...]:
    """So many seeds a pole of the trait clarity."""
    return tuple(
        Seed("clarity", f"{pole} text {index}", float(pole == "positive")) for pole in POLES for index in range(count)
    )


class RandomVectors:
    """Each text has a direction of its own, drawn by its digest."""

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Shape ``(len(texts), 512)``."""
        rows = np.zeros((len(texts), DIMENSIONS))
        for row, text in zip(rows, texts, strict=True):
            seed = int(hashlib.sha256(text.encode()).hexdigest()[:8], 16)
            row[:] = np.random.default_rng(seed).normal(size=DIMENSIONS)
        return normalise_rows(rows)
