"""The three breaks between a trait's clusters, what they grade, and how sure the gap between them is."""

import numpy as np
import pytest

from engine.quality.breaks import Breaks, Grade, find_breaks, measure_breaks

APART = [0.5, 0.6, 0.7, 0.8, 0.9], [-0.5, -0.4, -0.3, -0.2, -0.1]


def _find(positive: list[float], negative: list[float]) -> Breaks:
    breaks = find_breaks(positive, negative)
    assert breaks is not None
    return breaks


def test_breaks_are_the_quartiles_of_the_contract() -> None:
    breaks = _find(*APART)
    assert (-0.2, 0.6, 0.8, 0.8) == (breaks.developing, breaks.solid, breaks.strong, breaks.gap)
    assert not breaks.overlap


def test_each_break_is_at_least_the_one_below_it() -> None:
    breaks = _find([-0.9, -0.8, -0.7, -0.6], [0.1, 0.2, 0.3, 0.4])
    assert 0.325 == breaks.developing == breaks.solid == breaks.strong
    assert breaks.overlap


@pytest.mark.parametrize(
    ("score", "grade"),
    [
        (-0.3, Grade("below developing", "high")),
        (-0.2, Grade("developing", "moderate")),
        (0.5, Grade("developing", "moderate")),
        (0.6, Grade("solid", "high")),
        (0.8, Grade("strong", "high")),
    ],
)
def test_text_is_graded_by_where_it_lies(score: float, grade: Grade) -> None:
    assert grade == _find(*APART).grade(score)


def test_no_grade_where_the_clusters_overlap() -> None:
    breaks = _find([0.0, 0.1, 0.2, 0.3], [0.05, 0.15, 0.25, 0.35])
    assert Grade(None, "low") == breaks.grade(9.0)


def test_clusters_that_touch_have_no_gap_and_do_not_overlap() -> None:
    breaks = _find([0.1] * 4, [0.1] * 4)
    assert 0 == breaks.gap
    assert not breaks.overlap


def test_fewer_than_four_texts_at_a_pole_have_no_breaks() -> None:
    assert find_breaks([0.1] * 3, [0.0] * 40) is None


def test_few_texts_leave_it_unsure_and_more_decide() -> None:
    def spread(low: float, count: int) -> list[float]:
        return list(np.linspace(low, low + 1, count))

    assert "unsure" == _find(*APART).sureness
    assert "unsure" == _find(spread(0.0, 8), spread(-0.6, 8)).sureness
    assert "apart" == _find(spread(0.0, 320), spread(-0.6, 320)).sureness
    assert "overlapping" == _find(spread(0.0, 320), spread(-0.4, 320)).sureness


def test_nine_intervals_of_ten_hold_the_true_gap() -> None:
    """Between normal clusters that are 2 standard deviations apart; the true gap is 2 less twice the upper quartile."""
    generator = np.random.default_rng(0)
    true = 2 - 2 * 0.674490
    for texts, least in ((8, 0.84), (40, 0.88)):
        found = [_find(list(generator.normal(2, 1, texts)), list(generator.normal(0, 1, texts))) for _ in range(400)]
        held = [low <= true <= high for low, high in (breaks.gap_interval for breaks in found)]
        assert least <= sum(held) / len(held) <= 0.95


def test_same_scores_give_the_same_interval() -> None:
    assert _find(*APART) == _find(*(list(reversed(pole)) for pole in APART))


def test_breaks_of_texts_are_those_on_axes_that_have_not_seen_them() -> None:
    """Texts without any difference between the poles: on an axis of their own they would lie clearly apart."""
    vectors = np.random.default_rng(1).normal(size=(40, 400))
    breaks = measure_breaks(vectors, [True, False] * 20, [f"p{index // 2}" for index in range(40)])
    assert breaks is not None
    assert "apart" != breaks.sureness
