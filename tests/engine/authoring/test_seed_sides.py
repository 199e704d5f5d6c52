"""A text among those of the other pole is named, and none where the axis says nothing."""

import numpy as np
import pytest

from engine.authoring.seed_sides import MIN_TEXTS, find_wrong_sides
from engine.axis.separation import Numbers


def make_poles(count: int, distance: float = 1.0) -> tuple[Numbers, list[bool]]:
    """So many texts a pole, whose means lie so far from one another; the first half is positive."""
    drawn = np.random.default_rng(0).normal(0, 0.25, (2 * count, 8))
    drawn[:count, 0] += distance
    return drawn, [True] * count + [False] * count


@pytest.mark.parametrize("count", [MIN_TEXTS, 12])
def test_texts_at_their_poles_are_not_named(count: int) -> None:
    found = find_wrong_sides(*make_poles(count))

    assert found is not None
    assert not found.wrong.any()
    assert 1.0 == pytest.approx(found.sides.mean(), abs=0.2)


@pytest.mark.parametrize("flipped", [0, 19])
def test_text_with_the_other_label_is_named(flipped: int) -> None:
    vectors, positive = make_poles(10, 2.0)
    positive[flipped] = not positive[flipped]
    found = find_wrong_sides(vectors, positive)

    assert found is not None
    assert [flipped] == np.flatnonzero(found.wrong).tolist()
    assert found.sides[flipped] < -0.8


def test_where_the_axis_says_nothing_no_text_is_placed() -> None:
    many_on_the_other_side = make_poles(10, 2.0)[0], [False] * 3 + [True] * 10 + [False] * 7
    hardly_differ, few = make_poles(20, 0.05), make_poles(MIN_TEXTS - 1, 2.0)
    none: tuple[Numbers, list[bool]] = np.zeros((0, 8)), []
    all_alike = np.ones((12, 8)), [True, False] * 6

    for vectors, positive in (many_on_the_other_side, hardly_differ, few, none, all_alike):
        assert find_wrong_sides(vectors, positive) is None
