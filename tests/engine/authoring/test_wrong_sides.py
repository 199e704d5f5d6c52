"""A text among those of the other pole is named, and none where the axis says nothing."""

import json

import numpy as np
import pytest
from fakes.word_vectors import WordVectors

from engine.authoring.hints import Hint
from engine.authoring.wrong_sides import MIN_TEXTS, MOST_NAMED, find_wrong, list_wrong_sides
from engine.axis.separation import Numbers
from engine.definitions.loader import parse_model

TEXT = b"""\
traits:
  - {type: spectrum, key: warmth, description: Kind, positive_label: Warm, negative_label: Cold}
sources: [{type: jsonl, path: s.jsonl}]
"""
WORDS = {1: "thanks gladly sorry", 0: "rules forms refused"}


def make_poles(count: int, distance: float = 1.0) -> tuple[Numbers, list[bool]]:
    """So many texts a pole, whose means lie so far from one another; the first half is positive."""
    drawn = np.random.default_rng(0).normal(0, 0.25, (2 * count, 8))
    drawn[:count, 0] += distance
    return drawn, [True] * count + [False] * count


def find(vectors: Numbers, positive: list[bool]) -> list[int]:
    return find_wrong(vectors, np.array(positive))


@pytest.mark.parametrize("count", [MIN_TEXTS, 12])
def test_texts_at_their_poles_are_not_named(count: int) -> None:
    assert [] == find(*make_poles(count))


@pytest.mark.parametrize("flipped", [0, 19])
def test_text_with_the_other_label_is_named(flipped: int) -> None:
    vectors, positive = make_poles(10, 2.0)
    positive[flipped] = not positive[flipped]

    assert [flipped] == find(vectors, positive)


def test_where_the_axis_says_nothing_no_text_is_named() -> None:
    many_on_the_other_side = make_poles(10, 2.0)[0], [False] * 3 + [True] * 10 + [False] * 7
    hardly_differ, all_alike = make_poles(20, 0.05), (np.ones((12, 8)), [True, False] * 6)

    for vectors, positive in (many_on_the_other_side, hardly_differ, all_alike):
        assert [] == find(vectors, positive)


def list_hints(*more: tuple[str, int], count: int = 8) -> list[Hint]:
    """Of so many texts a pole, three words of the pole and one of its own, and of these."""
    texts = [(f"{WORDS[pole]} matter{pole}{number}", pole) for pole in (1, 0) for number in range(count)]
    lines = [json.dumps({"content": text, "warmth": quality}) for text, quality in [*texts, *more]]
    model = parse_model("u22a8.test", TEXT, lambda _: "\n".join(lines).encode())
    return list(list_wrong_sides(model, WordVectors()))


def test_sample_among_those_of_the_other_pole_is_named_with_its_line() -> None:
    [hint] = list_hints(("rules forms refused altogether", 1))
    many = list_hints(*((f"rules forms refused {word * 9}", 1) for word in "abcdefg"), count=40)

    assert ("wrong_side", "u22a8.test/s.jsonl:17", "warmth") == (hint.kind, hint.place, hint.trait)
    assert "'rules forms refused altogether' is labelled 'Warm', and reads like those labelled 'Cold'" == hint.message
    assert MOST_NAMED == len(many)
    assert [] == [hint for count in (8, MIN_TEXTS - 1, 0) for hint in list_hints(count=count)]
