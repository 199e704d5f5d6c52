"""The packaged sentence encoder."""

import numpy as np
import pytest

from engine.text.embedding import DIMENSIONS, SentenceEncoder, normalise_rows


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
