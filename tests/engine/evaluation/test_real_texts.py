"""Real texts on the axis of samples: which count, what the axis reaches on them, and where single texts lie."""

import numpy as np
import pytest

from engine.axis.breaks import MIN_TEXTS, Grade
from engine.domain.model import Seed
from engine.evaluation.real_texts import (
    MAX_CHARACTERS,
    MAX_REAL_PER_POLE,
    Placement,
    bound_auc,
    choose_real_texts,
    list_wrong_side,
    measure_reach,
    place_texts,
)
from engine.text.embedding import Vectors


def label(text: str, quality: float = 1.0) -> Seed:
    return Seed("clarity", text, quality)


def lay(*places: tuple[float, bool]) -> tuple[Vectors, list[bool]]:
    return np.array([[place, 0.0] for place, _ in places]), [positive for _, positive in places]


def test_each_text_that_does_not_count_is_counted_under_its_reason() -> None:
    real = [
        label("One."),
        label("Halfway.", 0.5),
        label("Both ways."),
        label("Both  ways.", 0.0),
        label("attached", 0.0),
        label("Authored!"),
        label("x" * (MAX_CHARACTERS + 1)),
    ]
    chosen, left_out = choose_real_texts(real, ["Attached.", "Twice."], ["Authored.", "Twice."])

    assert ["One."] == [seed.text for seed in chosen]
    assert {"between": 1, "conflicting_labels": 2, "long": 1, "attached": 1, "authored": 1} == left_out
    assert {"attached": 1} == choose_real_texts([label("Twice.")], ["Twice."], ["Twice."])[1]
    # Capitals may be what the trait is about.
    kept = [label("STOP THAT."), label("Stop that.", 0.0), label("x" * MAX_CHARACTERS)]
    assert (kept, {}) == choose_real_texts(kept, ["Four."], ["Five."])


def test_of_very_many_texts_the_same_are_drawn_in_any_order() -> None:
    real = [label(f"Text {number}.", number % 3 / 2) for number in range(3 * MAX_REAL_PER_POLE + 30)]
    chosen, left_out = choose_real_texts(real, [], [])
    again, _ = choose_real_texts(real[::-1], [], [])

    assert 2 * [MAX_REAL_PER_POLE] == [sum(seed.quality == quality for seed in chosen) for quality in (0.0, 1.0)]
    assert {"between": MAX_REAL_PER_POLE + 10, "surplus": 20} == left_out
    assert chosen == again[::-1]


def test_axis_of_samples_orders_real_texts() -> None:
    reach = measure_reach(np.array([0.5, -0.1, 0.1, -0.5]), [True, True, False, False])

    assert reach is not None
    assert 0.75 == reach.auc
    assert reach.low < 0.75 < reach.high
    # Nothing is held against texts of one pole.
    assert measure_reach(np.array([0.5, 0.1]), [True, True]) is None


def test_texts_on_the_wrong_side_come_the_farthest_first() -> None:
    scores, positive = np.array([0.5, -0.1, 0.3, 0.0, -0.2]), [True, True, False, False, False]

    assert [(2, 0.3), (1, -0.1)] == list_wrong_side(scores, positive)
    assert [] == list_wrong_side(np.zeros(5), positive)


@pytest.mark.parametrize(
    ("auc", "positives", "negatives", "low", "high"),
    [
        (0.5, 5, 5, 0.206, 0.794),
        (0.9, 20, 20, 0.747, 0.962),
        (1.0, 10, 10, 0.800, 1.0),
        (0.0, 10, 10, 0.0, 0.200),
        (0.8, 10, 40, 0.603, 0.908),
        (0.8, 1000, 1000, 0.780, 0.819),
    ],
)
def test_interval_of_an_auc(auc: float, positives: int, negatives: int, low: float, high: float) -> None:
    assert (low, high) == pytest.approx(bound_auc(auc, positives, negatives), abs=0.001)
    assert (1 - high, 1 - low) == pytest.approx(bound_auc(1 - auc, negatives, positives), abs=0.001)


def test_text_is_placed_with_its_grade_and_without_one_by_few_samples() -> None:
    samples = lay(*[(0.2 + number / 100, True) for number in range(8)], *[(-0.2, False) for _ in range(8)])
    groups = [str(number % 8) for number in range(16)]
    high, low = place_texts(*samples, groups, np.array([[0.5, 0.0], [-0.5, 0.0]]))

    assert (Grade("strong", "high"), "positive", "negative") == (high.grade, high.side, low.side)
    assert 0.5 - (0.235 - 0.2) / 2 == pytest.approx(high.score)
    few = lay(*[(0.2, True)] * (MIN_TEXTS - 1), *[(-0.2, False)] * (MIN_TEXTS - 1))
    assert [Placement(-0.1, None, None)] == place_texts(*few, ["a", "b", "c"] * 2, np.array([[-0.1, 0.0]]))
    assert Placement(0.0, None, None).side is None
