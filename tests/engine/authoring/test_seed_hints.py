"""Authored samples: too few, doubled, in another language, on the wrong side; and those that are as they should be."""

import json

import pytest
from fakes.examined import make_examined
from fakes.word_vectors import WordVectors

from engine.authoring.hint import Hint
from engine.authoring.seed_hints import list_seed_hints, list_side_hints
from engine.definitions.loader import parse_model

TEXT = """\
traits:
  - {{type: {type}, key: warmth, description: Kind, positive_label: Warm, negative_label: Cold}}
sources: [{{type: jsonl, path: s.jsonl}}]
"""
SCALE = TEXT.format(type="spectrum")
WORDS = {1: "thanks gladly sorry", 0: "rules forms refused"}
LETTERS = "abcdefghi"


def write(*labels: tuple[str, float]) -> list[str]:
    return [json.dumps({"content": text, "warmth": quality}) for text, quality in labels]


def write_poles(count: int) -> list[str]:
    """So many texts a pole: three words of the pole and one of its own."""
    return write(*((f"{WORDS[pole]} matter{pole}{number}", pole) for pole in (1, 0) for number in range(count)))


def list_found(lines: list[str], text: str = SCALE, is_embedded: bool = False) -> list[Hint]:
    authored = parse_model("u22a8.test", text.encode(), lambda _: "\n".join(lines).encode()).seeds
    return list(list_seed_hints(make_examined(text, lines), authored, is_embedded))


def list_sides(lines: list[str], text: str = SCALE) -> list[Hint]:
    return list(list_side_hints(make_examined(text, lines), WordVectors()))


@pytest.mark.parametrize(("counts", "few"), [((0, 0), True), ((3, 9), True), ((4, 4), False)])
def test_fewer_than_four_a_pole_are_few_for_the_embedded_model(counts: tuple[int, int], few: bool) -> None:
    poles = zip((1, 0), counts, strict=True)
    lines = write(*((f"{WORDS[pole]} {letter * 5}", pole) for pole, count in poles for letter in LETTERS[:count]))

    assert few == ("few_seeds" in [hint.kind for hint in list_found(lines, is_embedded=True)])
    assert "few_seeds" not in [hint.kind for hint in list_found(lines)]


def test_text_with_both_labels_is_contested_and_one_that_is_there_twice_or_nearly_so_is_named() -> None:
    found = list_found(
        write(("Thank you.", 1), ("Case closed.", 0), ("Thank  you.", 0), ("Case closed!", 0), ("Case  closed.", 0.2))
    )
    long = "We have looked into the matter of your order with great care and will send another one today"
    found += list_found(write((f"{long}.", 1), (f"{long}, dear.", 1), (f"{long}, perhaps.", 0)))

    assert [("contested_seed", 1), ("doubled_seed", 4), ("doubled_seed", 5), ("near_duplicate", 2)] == [
        (hint.kind, int(hint.place.removeprefix("u22a8.test/s.jsonl:"))) for hint in found
    ]


def test_samples_in_another_language_than_the_file_says_are_named() -> None:
    german = write(
        ("Vielen Dank für Ihre Geduld, wir schicken Ihnen heute noch Ersatz.", 1),
        ("Ihr Antrag wurde nach den geltenden Regeln abgelehnt, lesen Sie das Formular.", 0),
    )
    [hint] = list_found(german, f"language: en\n{SCALE}")

    assert ("other_language", "u22a8.test/s.jsonl:1") == (hint.kind, hint.place)
    assert [] == list_found(german) == list_found(german, f"language: de\n{SCALE}")


def test_sample_among_those_of_the_other_pole_is_named() -> None:
    [hint] = list_sides([*write_poles(8), *write(("rules forms refused altogether", 1))])

    assert ("wrong_side", "u22a8.test/s.jsonl:17") == (hint.kind, hint.place)
    assert "'rules forms refused altogether' is labelled 'Warm', and reads like those labelled 'Cold'" == hint.message
    assert [] == [hint for count in (8, 3, 0) for hint in list_sides(write_poles(count))]


def test_samples_that_an_encoder_tells_apart_by_chance_are_named_but_for_claims() -> None:
    mixed = write(*((f"{WORDS[(number // 2) % 2]} matter{number}", number % 2) for number in range(16)))

    assert [] == list_sides(mixed, TEXT.format(type="claim"))
    for type_ in ("spectrum", "topic", "outlier"):
        assert ["seeds_hardly_differ"] == [hint.kind for hint in list_sides(mixed, TEXT.format(type=type_))]
