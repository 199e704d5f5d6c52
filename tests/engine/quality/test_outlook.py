"""What is advised for a trait before it is trained: each advice, and what it turns on."""

import pytest

from engine.quality.breaks import Breaks
from engine.quality.outlook import Advice, Outlook


def make_breaks(gap: float, low: float, high: float, texts: int = 40) -> Breaks:
    return Breaks(0.0, max(gap, 0.0), 0.5, gap, (low, high), texts)


APART, OVERLAPPING, UNSURE = make_breaks(0.2, 0.1, 0.3), make_breaks(-0.2, -0.3, -0.1), make_breaks(0.1, -0.1, 0.2)


@pytest.mark.parametrize(
    ("auc", "breaks", "advice"),
    [
        (0.85, make_breaks(0.2, 0.1, 0.3, texts=20), "enough"),
        (0.84, APART, "better seeds"),
        (0.95, make_breaks(0.2, 0.1, 0.3, texts=19), "more of the same"),
        (0.95, make_breaks(0.2, 0.1, 0.3, texts=8), "more of the same"),
        (0.95, make_breaks(0.2, 0.1, 0.3, texts=7), "unknown"),
        (0.95, OVERLAPPING, "better seeds"),
        (0.7, UNSURE, "more of the same"),
        (0.69, UNSURE, "better seeds"),
        (0.95, None, "unknown"),
        (None, APART, "unknown"),
    ],
)
def test_advice_turns_on_how_well_the_poles_differ(auc: float | None, breaks: Breaks | None, advice: Advice) -> None:
    assert advice == Outlook(auc, breaks).advice
