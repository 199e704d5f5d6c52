"""The axis between the poles, places on it, and the area under the curve."""

import numpy as np
import pytest

from engine.axis.separation import fit_axis, rank_auc, score_held_out, score_others


def test_axis_points_from_the_negative_to_the_positive_pole() -> None:
    vectors = np.array([[1.0, 0.0], [1.0, 0.2], [-1.0, 0.0], [-1.0, 0.2]])
    assert [1.0, 0.0] == pytest.approx(fit_axis(vectors, [True, True, False, False]))
    assert [0.0, 0.0] == list(fit_axis(np.eye(2), [True, True]))
    assert [0.0, 0.0] == list(fit_axis(np.ones((2, 2)), [True, False]))


def test_auc_counts_ties_half() -> None:
    assert 1.0 == rank_auc([2.0, 1.0], [True, False])
    assert 0.0 == rank_auc([1.0, 2.0], [True, False])
    assert 0.5 == rank_auc([1.0, 1.0], [True, False])
    assert 0.75 == rank_auc([3.0, 1.0, 2.0, 0.0], [True, True, False, False])
    assert rank_auc([1.0], [True]) is None


def test_text_is_placed_by_an_axis_that_has_not_seen_its_group() -> None:
    """Each group has a direction of its own that tells its poles apart: it must be of no use within the group."""
    own = np.repeat(np.eye(6), 2, axis=0)
    signs = np.tile([1.0, -1.0], 6)[:, None]
    scores = score_held_out(own * signs, [True, False] * 6, [f"g{n // 2}" for n in range(12)])
    assert [0.0] * 12 == pytest.approx(list(scores))


def test_flipped_label_lies_on_the_wrong_side() -> None:
    generator = np.random.default_rng(0)
    truth = np.array([index % 2 == 0 for index in range(40)])
    vectors = generator.normal(size=(40, 8)) * 0.1 + np.where(truth, 1.0, -1.0)[:, None] * np.eye(8)[0]
    labels = truth.copy()
    labels[3] = not labels[3]
    scores = score_held_out(vectors, labels, [f"p{index // 2}" for index in range(40)])
    wrong = [index for index in range(40) if (scores[index] > 0) != labels[index]]
    assert [3] == wrong


def test_fewer_groups_than_folds_are_folds_of_their_own() -> None:
    vectors = np.array([[1.0, 0.0], [-1.0, 0.0], [1.0, 0.1], [-1.0, 0.1]])
    scores = score_held_out(vectors, [True, False, True, False], ["a", "a", "b", "b"])
    assert [True, False, True, False] == [place > 0 for place in scores]
    assert [0.0, 0.0] == list(score_held_out(vectors[:2], [True, False], ["a", "a"]))


def test_other_text_is_scored_from_the_middle_between_the_poles() -> None:
    vectors = np.array([[2.0, 1.0], [0.0, 1.0]])
    assert [1.0, 0.0, -3.0] == list(score_others(vectors, [True, False], np.array([[2.0, 0.0], [1.0, 5], [-2.0, 1]])))
    assert [0.0] == list(score_others(vectors, [True, True], vectors[:1]))
