"""The three breaks between a trait's clusters, and what they grade."""

import numpy as np
import pytest

from engine.axis.breaks import Breaks, Grade, find_breaks, measure_breaks

APART = [0.5, 0.6, 0.7, 0.8, 0.9], [-0.5, -0.4, -0.3, -0.2, -0.1]


def find(positive: list[float], negative: list[float]) -> Breaks:
    breaks = find_breaks(positive, negative)
    assert breaks is not None
    return breaks


def test_breaks_are_the_quartiles_of_the_contract_each_at_least_the_one_below_it() -> None:
    apart, turned = find(*APART), find([-0.9, -0.8, -0.7, -0.6], [0.1, 0.2, 0.3, 0.4])

    assert (-0.2, 0.6, 0.8, 0.8) == (apart.developing, apart.solid, apart.strong, apart.gap)
    assert 0.325 == turned.developing == turned.solid == turned.strong
    assert (False, True) == (apart.overlap, turned.overlap)
    assert Grade(None, "low") == turned.grade(9.0)
    touching = find([0.1] * 8, [0.1] * 8)
    assert (0, False) == (touching.gap, touching.overlap)
    assert find_breaks([0.1] * 3, [0.0] * 40) is None


@pytest.mark.parametrize(
    ("score", "grade"),
    [
        (-0.201, Grade("below developing", "high")),
        (-0.2, Grade("developing", "moderate")),
        (0.599, Grade("developing", "moderate")),
        (0.6, Grade("solid", "high")),
        (0.799, Grade("solid", "high")),
        (0.8, Grade("strong", "high")),
    ],
)
def test_text_is_graded_by_where_it_lies(score: float, grade: Grade) -> None:
    assert grade == find(*APART).grade(score)


def test_breaks_of_texts_are_those_on_axes_that_have_not_seen_them() -> None:
    """Texts without any difference between the poles: on an axis of their own they would lie clearly apart."""
    vectors = np.random.default_rng(1).normal(size=(40, 400))
    breaks = measure_breaks(vectors, [True, False] * 20, [f"p{index // 2}" for index in range(40)])

    assert breaks is not None
    assert breaks.overlap
