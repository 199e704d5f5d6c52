"""Candidates that are good and far from one another."""

from collections.abc import Sequence

import numpy as np
import pytest

from engine.choosing import diverse_subset
from engine.choosing.diverse_subset import RIDGE, _score_to_quality, select_diverse
from engine.text.embedding import Vectors, normalise_rows


@pytest.mark.parametrize(
    ("scores", "vectors", "count", "picked"),
    [
        ([1.0, 3.0, 2.0], np.eye(3), 3, [1, 2, 0]),
        ([], np.zeros((0, 2)), 3, []),
        ([1.0] * 4, np.eye(4), 2, [0, 1]),
        ([2.0, 1.0, 3.0], np.eye(3), 2, [2, 0]),
        ([3.0, 2.9, 1.0], np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]), 2, [0, 2]),
    ],
    ids=["all, the best first", "none", "the first of equals", "the best of those as far", "another before a better"],
)
def test_best_and_most_different_candidates_are_picked(
    scores: Sequence[float], vectors: Vectors, count: int, picked: list[int]
) -> None:
    assert picked == select_diverse(scores, vectors, count)


def find_next(scores: Sequence[float], vectors: Vectors, picked: list[int]) -> int:
    """The candidate that makes the determinant greatest."""
    quality = _score_to_quality(scores)
    kernel = np.outer(quality, quality) * (vectors @ vectors.T + RIDGE * np.eye(len(scores)))
    left = [index for index in range(len(scores)) if index not in picked]
    return max(left, key=lambda index: float(np.linalg.slogdet(kernel[np.ix_([*picked, index], [*picked, index])])[1]))


@pytest.mark.parametrize(("seed", "candidates", "count"), [*((seed, 7, 4) for seed in range(4)), (8, 40, 30)])
def test_each_pick_has_the_greatest_determinant(
    monkeypatch: pytest.MonkeyPatch, seed: int, candidates: int, count: int
) -> None:
    """The update gives what trying every candidate by its determinant gives (Chen et al. 2018), in blocks of which some
    picks are not among the likely ones.
    """
    monkeypatch.setattr(diverse_subset, "BLOCK", 4)
    monkeypatch.setattr(diverse_subset, "LIKELY", 5)
    generator = np.random.default_rng(seed)
    vectors = normalise_rows(generator.normal(size=(candidates, candidates + 1)))
    scores = generator.normal(size=candidates).tolist()
    picked = select_diverse(scores, vectors, count)

    assert count == len(set(picked))
    for turn in {*range(4), count - 1}:
        assert find_next(scores, vectors, picked[:turn]) == picked[turn]


@pytest.mark.parametrize("count", [1, 5, 9])
def test_no_candidate_is_picked_twice_even_of_copies(count: int) -> None:
    picked = select_diverse([0.0] * 10, np.tile([[1.0, 0.0]], (10, 1)), count)

    assert count == len(picked) == len(set(picked))
