"""What is advised for a trait before it is trained: each advice, and what it turns on."""

import pytest

from engine.quality.breaks import Breaks, find_breaks
from engine.quality.learning_curve import LearningCurve
from engine.quality.outlook import Advice, Outlook

APART = find_breaks([0.5, 0.6, 0.7, 0.8], [-0.4, -0.3, -0.2, -0.1])
OVERLAPPING = find_breaks([0.0, 0.1, 0.2, 0.3], [0.0, 0.1, 0.2, 0.3])


def rise(gain: float, error: float = 0.002) -> LearningCurve:
    return LearningCurve(40, ((35, 0.9),), 0.9, 0.02, gain, error, 0.04)


@pytest.mark.parametrize(
    ("auc", "breaks", "curve", "advice"),
    [
        (0.95, APART, rise(0.004), "enough"),
        (0.95, APART, rise(0.03), "more of the same"),
        (0.95, APART, rise(0.004, 0.009), "enough"),
        (0.95, APART, rise(0.004, 0.011), "more of the same"),
        (0.95, APART, rise(0.012, 0.02), "more of the same"),
        (0.95, OVERLAPPING, rise(0.004, 0.011), "more of the same"),
        (0.6, APART, rise(0.004, 0.02), "better seeds"),
        (0.75, OVERLAPPING, rise(0.03), "more of the same"),
        (0.75, APART, rise(0.004), "better seeds"),
        (0.95, OVERLAPPING, rise(0.004), "better seeds"),
        (0.6, OVERLAPPING, rise(0.03), "better seeds"),
        (0.95, APART, None, "unknown"),
        (None, None, None, "unknown"),
    ],
)
def test_advice_turns_on_how_well_the_poles_differ_and_on_what_more_would_bring(
    auc: float | None, breaks: Breaks | None, curve: LearningCurve | None, advice: Advice
) -> None:
    assert advice == Outlook(auc, breaks, curve).advice
