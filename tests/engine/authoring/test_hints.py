"""What was not filled in, and too few samples; and a model of which nothing is to be said."""

import json

import pytest

from engine.authoring.hints import find_not_covered, list_hints
from engine.definitions.loader import parse_model
from engine.definitions.scenario_packs import SCENARIOS_FOLDER, load_packs
from engine.definitions.yaml_document import parse_yaml

TRAIT = "traits:\n  - {type: spectrum, key: warmth, description: Kind, positive_label: Warm, negative_label: Cold}\n"
SOURCE = "sources: [{type: jsonl, path: s.jsonl}]\n"
FOUR = (1, 1, 1, 1, 0, 0, 0, 0)


def list_found(text: str, labels: tuple[int, ...] = FOUR) -> list[tuple[str, str]]:
    lines = [json.dumps({"content": f"Text {number}.", "warmth": label}) for number, label in enumerate(labels)]
    content = f"{text}{SOURCE}".encode()
    model = parse_model("u22a8.test", content, lambda _: "\n".join(lines).encode())
    hints = list(list_hints(model, parse_yaml("u22a8.test/model.yaml", content)))
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
    content = f"{TRAIT}{rest}".encode()
    model = parse_model("u22a8.test", content, lambda _: b"")
    packs = load_packs(SCENARIOS_FOLDER)
    hints = list(find_not_covered(model, parse_yaml("u22a8.test/model.yaml", content), packs))

    assert is_named == bool(hints)
    assert all('`domain: ["' in hint.message for hint in hints)
