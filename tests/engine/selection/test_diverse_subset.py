"""Candidates that are good and far from one another."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.selection import diverse_subset
from engine.selection.diverse_subset import RIDGE, _score_to_quality, select_diverse
from engine.text.embedding import Vectors, normalise_rows


def test_best_come_first_where_all_are_wanted() -> None:
    assert [1, 2, 0] == select_diverse([1.0, 3.0, 2.0], np.eye(3), 3)
    assert [] == select_diverse([], np.zeros((0, 2)), 3)


def test_of_candidates_that_are_alike_the_first_are_picked() -> None:
    assert [0, 1] == select_diverse([1.0] * 4, np.eye(4), 2)


def test_candidate_that_says_something_else_is_picked_before_a_better_one_that_says_the_same() -> None:
    vectors = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])

    assert [0, 2] == select_diverse([3.0, 2.9, 1.0], vectors, 2)


def test_quality_decides_between_candidates_as_far_apart() -> None:
    assert [2, 0] == select_diverse([2.0, 1.0, 3.0], np.eye(3), 2)


@given(st.integers(0, 10_000))
@settings(max_examples=25)
def test_each_pick_has_the_greatest_determinant(seed: int) -> None:
    """The update gives what trying every candidate by its determinant gives (Chen et al. 2018)."""
    generator = np.random.default_rng(seed)
    vectors = normalise_rows(generator.normal(size=(7, 5)))
    scores = generator.normal(size=7).tolist()

    assert pick_by_determinants(scores, vectors, 4) == select_diverse(scores, vectors, 4)


def pick_by_determinants(scores: list[float], vectors: Vectors, count: int) -> list[int]:
    quality = _score_to_quality(scores)
    kernel = np.outer(quality, quality) * (vectors @ vectors.T + RIDGE * np.eye(len(scores)))
    picked: list[int] = []
    for _ in range(count):
        left = [index for index in range(len(scores)) if index not in picked]
        picked.append(
            max(left, key=lambda index: float(np.linalg.det(kernel[np.ix_([*picked, index], [*picked, index])])))
        )
    return picked


def test_picks_are_the_same_whether_or_not_what_is_picked_leaves_the_arrays(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(0)
    vectors = normalise_rows(generator.normal(size=(300, 40)))
    scores = generator.normal(size=300).tolist()
    picked = select_diverse(scores, vectors, 250)
    monkeypatch.setattr(diverse_subset, "COMPACT_AFTER", 20)

    assert picked == select_diverse(scores, vectors, 250)


@pytest.mark.parametrize("count", [1, 5, 9])
def test_no_candidate_is_picked_twice_even_of_copies(count: int) -> None:
    picked = select_diverse([0.0] * 10, np.tile([[1.0, 0.0]], (10, 1)), count)

    assert count == len(picked) == len(set(picked))
    assert not any(one == other for one, other in itertools.pairwise(picked))
