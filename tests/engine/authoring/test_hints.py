"""What was not filled in, too few samples, and a text among those of the other pole are named, and nothing else."""

import json

import numpy as np
import pytest
from fakes.definitions import load_definition
from fakes.word_vectors import WordVectors

from engine.authoring.hints import MAX_NAMED, MIN_TEXTS, Hint, find_wrong, list_hints, list_wrong_sides
from engine.axis.separation import Numbers
from engine.domain.model import Model

TRAIT = "traits:\n  - {type: spectrum, key: warmth, description: Kind, positive_label: Warm, negative_label: Cold}\n"
SOURCE = "sources: [{type: jsonl, path: s.jsonl}]\n"
FOUR = (1, 1, 1, 1, 0, 0, 0, 0)
WORDS = {1: "thanks gladly sorry", 0: "rules forms refused"}


def parse(text: str, samples: list[tuple[str, int]]) -> Model:
    lines = [json.dumps({"content": text, "warmth": label}) for text, label in samples]
    return load_definition("u22a8.test", f"{text}{SOURCE}", "\n".join(lines).encode())


def list_found(text: str, labels: tuple[int, ...] = FOUR) -> list[tuple[str, str]]:
    model = parse(text, [(f"Text {number}.", label) for number, label in enumerate(labels)])
    hints = list(list_hints(model))
    return [(hint.kind, hint.place.removeprefix("u22a8.test/model.yaml:")) for hint in hints]


@pytest.mark.parametrize("labels", [(), (1, 1, 1, 1, 0, 0, 0)])
def test_fewer_than_four_at_a_pole_are_few(labels: tuple[int, ...]) -> None:
    assert [("few_seeds", "2")] == list_found(TRAIT, labels)
    assert [] == list_found(TRAIT)


def test_description_that_is_missing_is_named_with_its_line() -> None:
    assert [("no_description", "2")] == list_found(TRAIT.replace("Kind", "' '"))


@pytest.mark.parametrize(
    ("rest", "is_named"),
    [
        ("brief: {domain: 'Posts about dating profiles, football'}\n", True),
        ("brief: {domain: 'Posts about cooking, football'}\n", False),
        ("brief: {domain: Posts about dating profiles}\nscenarios: {subjects: [a first message, a photo]}\n", False),
        ("brief: {domain: Posts about dating profiles}\nscenarios: {pack: sport}\n", False),
    ],
)
def test_field_that_no_pack_covers_is_named_with_the_line_that_helps(rest: str, is_named: bool) -> None:
    model = load_definition("u22a8.test", f"{TRAIT}{rest}", b"")
    hints = [hint for hint in list_hints(model, WordVectors()) if hint.kind == "not_covered"]

    assert is_named == bool(hints)
    assert all('`domain: ["' in hint.message for hint in hints)


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


def list_wrong(*more: tuple[str, int], count: int = 8) -> list[Hint]:
    """Of so many texts a pole, three words of the pole and one of its own, and of these."""
    texts = [(f"{WORDS[pole]} matter{pole}{number}", pole) for pole in (1, 0) for number in range(count)]
    model = parse(TRAIT, [*texts, *more])
    return list(list_wrong_sides(model, WordVectors()))


def test_sample_among_those_of_the_other_pole_is_named_with_its_line() -> None:
    [hint] = list_wrong(("rules forms refused altogether", 1))
    many = list_wrong(*((f"rules forms refused {word * 9}", 1) for word in "abcdefg"), count=40)

    assert ("wrong_side", "u22a8.test/s.jsonl:17", "warmth") == (hint.kind, hint.place, hint.trait)
    assert "'rules forms refused altogether' is labelled 'Warm', and reads like those labelled 'Cold'" == hint.message
    assert MAX_NAMED == len(many)
    assert [] == [hint for count in (8, MIN_TEXTS - 1, 0) for hint in list_wrong(count=count)]
