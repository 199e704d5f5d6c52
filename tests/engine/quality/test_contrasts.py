"""Axes of few texts have the angle that those of many have, whatever chance makes of each of them."""

from collections.abc import Sequence

import numpy as np
import pytest

from engine.quality.contrasts import Contrast, Cosine, Group, measure_cosine

DIMENSIONS = 64


def draw(rng: np.random.Generator, axis: int, way: float, count: int, names: Sequence[str] = ()) -> Group:
    """Texts that lie around a point on one of the axes."""
    vectors = rng.normal(0, 0.3, (count, DIMENSIONS))
    vectors[:, axis] += way
    return Group(vectors, names or [f"{axis}/{way}/{rng.random()}" for _ in range(count)])


def draw_axis(rng: np.random.Generator, axis: int, count: int = 12) -> Contrast:
    return Contrast(draw(rng, axis, 0.5, count), draw(rng, axis, -0.5, count))


def measure(one: Contrast, other: Contrast) -> Cosine:
    cosine = measure_cosine(one, other)
    assert cosine is not None
    return cosine


@pytest.mark.parametrize(("axes", "expected"), [((0, 0), 1.0), ((0, 1), 0.0)])
def test_cosine_is_that_of_very_many_texts_and_off_by_about_its_error(axes: tuple[int, int], expected: float) -> None:
    generators = [np.random.default_rng(seed) for seed in range(60)]
    found = [measure(*(draw_axis(rng, axis) for axis in axes)) for rng in generators]
    values, errors = [item.value for item in found], [item.error for item in found]

    assert expected == pytest.approx(np.mean(values), abs=0.04)
    assert np.std(values) == pytest.approx(np.median(errors), rel=0.4)


def test_texts_of_one_name_are_not_held_against_each_other() -> None:
    """Both axes have the same negative texts: multiplied with themselves these would bring the two nearer."""
    rng, own, others = np.random.default_rng(2), list("abcdefghijkl"), list("mnopqrstuvwx")
    shared = draw(rng, 2, 0.0, 12, own)
    one, other = draw(rng, 0, 3.0, 12), draw(rng, 1, 3.0, 12)
    apart = measure(Contrast(one, shared), Contrast(other, shared))
    together = measure(Contrast(one, shared), Contrast(other, Group(shared.vectors, others)))

    assert apart.value < together.value


def test_too_few_texts_and_groups_that_do_not_differ_give_nothing() -> None:
    rng = np.random.default_rng(3)
    one, many, axis = draw(rng, 0, 0.5, 1), draw(rng, 0, -0.5, 12), draw_axis(rng, 0)

    assert measure_cosine(Contrast(one, many), axis) is None
    assert measure_cosine(Contrast(draw(rng, 0, 0.5, 8, ["same"] * 8), many), axis) is None
    assert measure_cosine(Contrast(many, many), axis) is None
