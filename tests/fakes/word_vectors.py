"""An embedder that knows words only: what two texts have in common is their words, and their cosine can be told."""

import hashlib
from collections.abc import Sequence

import numpy as np

from engine.system.worker_process import Executor
from engine.text.embedding import DIMENSIONS, Vectors, normalise_rows
from engine.text.words import split_words


class WordVectors:
    """Each word has a direction of its own: texts of two words that share one have a cosine of .5."""

    def embed(self, texts: Sequence[str]) -> Vectors:
        rows = np.zeros((len(texts), DIMENSIONS))
        for row, text in zip(rows, texts, strict=True):
            for word in split_words(text):
                row[int(hashlib.sha256(word.encode()).hexdigest(), 16) % DIMENSIONS] += 1
        return normalise_rows(rows)

    async def embed_ahead(self, texts: Sequence[str], run_in_worker: Executor) -> None:
        """Does nothing: it has no cache."""
