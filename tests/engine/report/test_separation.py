"""What a reader is told of a trait before he trains on it."""

import pytest

from engine.axis.breaks import Breaks, find_breaks
from engine.report.separation import Separation

APART = find_breaks([0.5, 0.6, 0.7, 0.8] * 2, [-0.4, -0.3, -0.2, -0.1] * 2)
OVERLAPPING = find_breaks([0.0, 0.1, 0.2, 0.3], [0.0, 0.1, 0.2, 0.3])


@pytest.mark.parametrize(
    ("breaks", "said"),
    [
        (APART, "developing from -0.17, solid from +0.57, strong from +0.72"),
        (OVERLAPPING, "none, since the clusters overlap from +0.08 to +0.23"),
    ],
)
def test_grades_are_told_with_their_breaks_or_why_there_are_none(breaks: Breaks, said: str) -> None:
    assert said == Separation("clarity", 0.95, breaks=breaks).grades


def test_trait_that_was_not_measured_is_told_why() -> None:
    unknown = Separation("clarity", None, language_known=False)

    assert ("the sentence encoder does not know the language", "–") == (unknown.told_apart, unknown.grades)
