"""The packaged sentence encoder."""

from collections.abc import Callable
from typing import cast

import numpy as np
import pytest

from engine.system.worker_process import RunHeavy
from engine.text import embedding
from engine.text.embedding import DIMENSIONS, SentenceEncoder, Vectors, embed_ahead, normalise_rows


def test_texts_of_one_meaning_lie_nearer() -> None:
    encoder = SentenceEncoder()
    vectors = encoder.embed(["The server is down again.", "Our server stopped once more.", "I baked an apple cake."])
    assert (3, DIMENSIONS) == vectors.shape
    assert [1.0, 1.0, 1.0] == pytest.approx(list(np.linalg.norm(vectors, axis=1)), abs=1e-3)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2]


def test_vector_does_not_depend_on_the_company_of_a_text() -> None:
    texts = ["A short one.", "Another one that is a good deal longer than the first of them.", "Third."]
    together = SentenceEncoder().embed(texts)
    alone = np.concatenate([SentenceEncoder().embed([text]) for text in texts])
    assert np.array_equal(together, alone) or float(np.abs(together - alone).max()) <= 1.1e-5


def test_odd_texts_have_a_vector_of_numbers() -> None:
    assert np.isfinite(SentenceEncoder().embed(["", ".", "😀", "a " * 500])).all()
    assert (0, DIMENSIONS) == SentenceEncoder().embed([]).shape


def test_row_without_direction_becomes_nothing() -> None:
    assert [[0.0, 0.0], [0.6, 0.8]] == normalise_rows([[0.0, float("nan")], [3.0, 4.0]]).tolist()


async def test_many_texts_are_several_pieces_of_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding, "PIECE", 3)
    texts = [f"The {word} was moved near the harbour." for word in "kettle lamp crate chair spoon jar bridge".split()]
    pieces = list[int]()

    async def run(work: Callable[[], Vectors]) -> Vectors:
        made = work()
        pieces.append(len(made))
        return made

    embedder = SentenceEncoder()
    await embed_ahead(embedder, [*texts, texts[0]], cast("RunHeavy", run))

    assert [3, 3, 1] == pieces
    assert [] == embedder.list_new(texts)
    assert np.allclose(SentenceEncoder().embed(texts), embedder.embed(texts), atol=2e-5)
