"""Labels and paraphrases that say too little, or more than the trait; and those of which nothing is to be said."""

import json
from collections.abc import Mapping

import pytest
import yaml
from bench.label_pairs import FILES, list_label_pairs
from fakes.examined import make_examined

from engine.authoring.pole_hints import list_pole_hints

SEEDS = [json.dumps({"content": f"Text {number}.", "warmth": number % 2}) for number in range(8)]
THANKS, SNAPS = "Thanks people.", "Snaps at people."


def list_kinds(*fields: Mapping[str, object], type_: str = "spectrum", seeds: bool = False) -> list[str]:
    trait: dict[str, object] = {"type": type_, "key": "warmth", "description": "Whether it is kind to people."}
    for given in fields:
        trait |= given
    text = yaml.safe_dump({"traits": [trait]}, allow_unicode=True)
    source = "sources: [{type: jsonl, path: s.jsonl}]\n" if seeds else ""
    return [hint.kind for hint in list_pole_hints(make_examined(text + source, SEEDS))]


def both(positive: object, negative: object) -> dict[str, object]:
    return {"positive_paraphrase": positive, "negative_paraphrase": negative}


def labels(positive: str | None, negative: str | None) -> dict[str, object]:
    return {"positive_label": positive, "negative_label": negative}


WARM = labels("Warm", "Cold")


def test_paraphrases_that_people_wrote_in_six_languages_get_no_hint() -> None:
    for pair in (pair for file in FILES for pair in list_label_pairs(file)):
        said = {"name": pair.name, "description": pair.description} | labels(*pair.labels)
        phrases = both([*pair.paraphrases["positive"]], [*pair.paraphrases["negative"]])

        assert (pair.name, []) == (pair.name, list_kinds(said, phrases))


@pytest.mark.parametrize(
    ("positive", "negative", "kinds", "beside_seeds"),
    [
        ("Polite", None, ["weak_label"], ["weak_label"]),
        ("Yes", "No", ["bare_labels"], []),
        ("Clear", "Unclear", ["bare_labels"], []),
    ],
)
def test_labels_that_say_too_little_are_named_until_a_paraphrase_says_what_they_mean(
    positive: str | None, negative: str | None, kinds: list[str], beside_seeds: list[str]
) -> None:
    said = labels(positive, negative)

    assert (kinds, beside_seeds) == (list_kinds(said), list_kinds(said, seeds=True))
    assert [] == list_kinds(said, both(THANKS, SNAPS))


def test_what_is_told_beside_the_labels_depends_on_type_description_and_samples() -> None:
    one_sided = {"positive_paraphrase": THANKS}

    assert ["no_description"] == list_kinds(WARM, {"description": ""})
    assert ["one_sided_paraphrase"] == list_kinds(WARM, one_sided)
    assert [] == list_kinds(WARM, one_sided, seeds=True)
    assert [] == [kind for type_ in ("topic", "claim", "outlier") for kind in list_kinds(type_=type_)]


@pytest.mark.parametrize(
    ("positive", "negative", "kinds"),
    [
        (["Hugs people.", "Kind words."], ["Snaps.", "kind words"], ["same_paraphrase"]),
        ("Kind to people.", "Not kind to people.", ["weak_paraphrase"]),
        ("Cold words about rules.", "Warm words of thanks.", ["swapped_paraphrases"]),
        ("Not cold at all.", "Not warm in any way, but curt.", []),
        ("Short replies that thank people.", "Long replies that snap at people.", ["differs_in_length"]),
        ("A letter that thanks people.", "A tweet that snaps at people.", ["differs_in_form"]),
        ("Reports that it went well.", "A story about rules.", []),
    ],
)
def test_paraphrases_that_do_not_tell_the_trait_are_named(positive: object, negative: object, kinds: list[str]) -> None:
    assert kinds == list_kinds(WARM, both(positive, negative), seeds=True)


def test_labels_in_two_scripts_are_named_and_the_scripts_of_one_language_are_one() -> None:
    assert ["differs_in_script"] == list_kinds(labels("丁寧", "Rude"), seeds=True)
    for positive, negative in (("ひらがな", "カタカナ"), ("Ｗarm", "Cold"), ("AI", "人間")):
        assert [] == list_kinds(labels(positive, negative), seeds=True)
