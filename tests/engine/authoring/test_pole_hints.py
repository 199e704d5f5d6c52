"""Labels and paraphrases that say too little, or more than the trait; and those of which nothing is to be said."""

import json

import pytest
import yaml
from fakes.examined import make_examined
from fakes.workspace import ROOT

from engine.authoring.pole_hints import list_pole_hints

SEEDS = [json.dumps({"content": f"Text {number}.", "warmth": number % 2}) for number in range(8)]
FIELDS = ("positive_label", "negative_label", "positive_paraphrase", "negative_paraphrase")
THANKS, SNAPS = "Thanks people.", "Snaps at people."


def list_kinds(*poles: object, seeds: bool = False, description: str = "Whether it is kind to people.") -> list[str]:
    given = dict(zip(FIELDS, poles, strict=False))
    trait = {"type": "spectrum", "key": "warmth", "description": description} | given
    text = yaml.safe_dump({"traits": [trait]}, allow_unicode=True)
    source = "sources: [{type: jsonl, path: s.jsonl}]\n" if seeds else ""
    return [hint.kind for hint in list_pole_hints(make_examined(text + source, SEEDS))]


def test_paraphrases_that_people_wrote_in_six_languages_get_no_hint() -> None:
    files = [path.read_text(encoding="utf-8") for path in (ROOT / "tests/bench").glob("label_pairs*.yaml")]
    assert 2 == len(files)
    for entry in (entry for file in files for entry in yaml.safe_load(file)):
        phrases, about = [entry[name] for name in FIELDS[2:]], entry["description"]

        for pair in entry["labels"]:
            assert (pair, []) == (pair, list_kinds(*pair, *phrases, description=about))


@pytest.mark.parametrize(
    ("positive", "negative", "kinds", "beside_seeds"),
    [("Polite", None, ["weak_label"], ["weak_label"]), ("Yes", "No", ["bare_labels"], [])],
)
def test_labels_that_say_too_little_are_named_until_a_paraphrase_says_what_they_mean(
    positive: str, negative: str | None, kinds: list[str], beside_seeds: list[str]
) -> None:
    assert (kinds, beside_seeds) == (list_kinds(positive, negative), list_kinds(positive, negative, seeds=True))
    assert [] == list_kinds(positive, negative, THANKS, SNAPS)


@pytest.mark.parametrize(
    ("positive", "negative", "kinds"),
    [
        (["Hugs people.", "Kind words."], ["Snaps.", "kind words"], ["same_paraphrase"]),
        ("Kind to people.", "Not kind to people.", ["weak_paraphrase"]),
        ("Cold words about rules.", "Warm words of thanks.", ["swapped_paraphrases"]),
        ("Not cold at all.", "Not warm in any way, but curt.", []),
        ("Reports that it went well.", "A story about rules.", []),
    ],
)
def test_paraphrases_that_do_not_tell_the_trait_are_named(positive: object, negative: object, kinds: list[str]) -> None:
    assert kinds == list_kinds("Warm", "Cold", positive, negative, seeds=True)


def test_paraphrase_of_one_pole_is_named() -> None:
    assert ["one_sided_paraphrase"] == list_kinds("Warm", "Cold", THANKS)
