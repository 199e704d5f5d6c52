"""What twice as many texts would bring: the curve of synthetic texts whose true AUC is known."""

import math
from statistics import NormalDist

import numpy as np
import pytest

from engine.quality.learning_curve import LearningCurve, draw_curve
from engine.quality.separation import rank_auc, score_held_out
from engine.text.embedding import Vectors


def make_texts(count: int, distance: float, dimensions: int, seed: int = 0) -> Vectors:
    """So many texts a pole, in pairs: two clouds without structure, the given distance apart."""
    vectors = np.random.default_rng(seed).normal(size=(2 * count, dimensions))
    vectors[::2, 0] += distance
    return vectors


def draw(vectors: Vectors) -> LearningCurve:
    count = len(vectors) // 2
    curve = draw_curve(vectors, [True, False] * count, [f"p{index // 2}" for index in range(2 * count)])
    assert curve is not None
    return curve


def true_auc(texts: int, distance: float, dimensions: int) -> float:
    """The curve of such clouds: S is twice the identity."""
    z, r = distance / math.sqrt(2), 2 * dimensions / distance**2
    return NormalDist().cdf(z / math.sqrt(1 + r / texts))


@pytest.mark.parametrize(("count", "distance", "dimensions"), [(20, 2.0, 20), (40, 2.0, 20), (80, 1.5, 60)])
def test_gain_of_twice_as_many_is_foretold_within_twice_its_error(count: int, distance: float, dimensions: int) -> None:
    gain = true_auc(2 * count, distance, dimensions) - true_auc(count, distance, dimensions)
    curves = [draw(make_texts(count, distance, dimensions, seed)) for seed in range(10)]
    assert all(abs(curve.gain - gain) <= 2 * curve.gain_error for curve in curves)
    assert all(abs(curve.auc - true_auc(count, distance, dimensions)) <= 3 * curve.auc_error for curve in curves)


@pytest.mark.parametrize("count", [8, 20, 40])
def test_change_that_a_new_set_of_twice_as_many_shows_lies_within_its_error(count: int) -> None:
    """Once the error holds in about two cases of three, twice the error in about 19 of 20."""

    def measure(vectors: Vectors) -> float:
        positive = [True, False] * (len(vectors) // 2)
        groups = [str(index // 2) for index in range(len(vectors))]
        auc = rank_auc(score_held_out(vectors, positive, groups), positive)
        assert auc is not None
        return auc

    off = []
    for seed in range(100):
        few, many = make_texts(count, 2.0, 20, seed), make_texts(2 * count, 2.0, 20, 1000 + seed)
        curve = draw(few)
        off.append(abs(measure(many) - measure(few) - curve.gain) / curve.change_error)
    assert 0.55 <= np.mean(np.array(off) <= 1) <= 0.95
    assert 0.9 <= np.mean(np.array(off) <= 2)


def test_points_rise_with_the_texts_that_an_axis_is_fit_to() -> None:
    curve = draw(make_texts(80, 3.0, 100))
    sizes, aucs = zip(*curve.points, strict=True)
    assert (10, 20, 40, 60, 70) == sizes
    assert sorted(aucs) == list(aucs)


def test_more_texts_leave_a_smaller_error() -> None:
    few, many = draw(make_texts(8, 3.0, 20)), draw(make_texts(160, 3.0, 20))
    assert few.gain_error > 3 * many.gain_error
    assert few.auc_error > 3 * many.auc_error


def test_poles_that_do_not_differ_stay_so() -> None:
    curve = draw(make_texts(160, 0.0, 50))
    assert 0.5 == pytest.approx(curve.auc, abs=0.05)
    assert curve.gain < 0.01


def test_eight_texts_that_are_told_apart_without_a_fault_are_not_taken_for_certain() -> None:
    curve = draw(make_texts(8, 50.0, 20))
    assert 1.0 == curve.points[-1][1]
    assert 0.9 < curve.auc < 1.0
    assert curve.auc_error > 0.03


def test_text_is_never_tested_on_an_axis_that_its_pair_is_part_of() -> None:
    """Each pair has a direction of its own that tells its two texts apart, and nothing else does."""
    own = np.repeat(np.eye(40), 2, axis=0) * np.tile([1.0, -1.0], 40)[:, None]
    assert {0.5} == {auc for _, auc in draw(own).points}


def test_unpaired_texts_and_unequal_poles_have_a_curve() -> None:
    vectors = make_texts(30, 4.0, 20)
    positive = [index % 2 == 0 or index > 40 for index in range(60)]
    vectors[[index for index in range(60) if index > 40 and index % 2], 0] += 4.0
    curve = draw_curve(vectors, positive, [f"t{index}" for index in range(60)])
    assert curve is not None
    assert 20 == curve.texts
    assert curve.auc > 0.9


def test_fewer_than_eight_texts_a_pole_have_no_curve() -> None:
    vectors = make_texts(20, 4.0, 20)
    assert draw_curve(vectors, [True] * 33 + [False] * 7, ["p"] * 40) is None


def test_texts_that_are_all_of_one_pair_have_no_points() -> None:
    curve = draw_curve(make_texts(8, 4.0, 20), [True, False] * 8, ["p"] * 16)
    assert curve is not None
    assert () == curve.points


def test_thousands_are_cut_to_what_is_looked_at_and_the_curve_counts_them_all() -> None:
    vectors = make_texts(2000, 2.0, 8)
    curve = draw(vectors)
    assert (2000, (40, 80, 160, 240, 280)) == (curve.texts, tuple(size for size, _ in curve.points))
    assert curve.gain < 0.001


def test_same_texts_make_the_same_curve() -> None:
    vectors = make_texts(20, 2.0, 20)
    assert draw(vectors) == draw(vectors.copy())
