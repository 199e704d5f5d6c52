"""Labels and paraphrases that say too little, or more than the trait; and those of which nothing is to be said."""

import json
from collections.abc import Mapping

import pytest
import yaml
from bench.label_pairs import FILES, LabelPair, list_label_pairs
from fakes.examined import FILE, make_examined

from engine.authoring.pole_hints import list_pole_hints

SEEDS = [json.dumps({"content": f"Text {number}.", "warmth": number % 2}) for number in range(8)]


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


@pytest.mark.parametrize(
    "pair", [pair for file in FILES for pair in list_label_pairs(file)], ids=lambda pair: pair.name
)
def test_paraphrases_that_people_wrote_in_six_languages_get_no_hint(pair: LabelPair) -> None:
    said = {"name": pair.name, "description": pair.description}

    assert [] == list_kinds(
        said, labels(*pair.labels), both([*pair.paraphrases["positive"]], [*pair.paraphrases["negative"]])
    )


@pytest.mark.parametrize(
    ("positive", "negative", "kind", "beside_seeds"),
    [
        ("Rude", "Not rude", "weak_label", "weak_label"),
        ("Polite", None, "weak_label", "weak_label"),
        ("Freundlich", "Nicht freundlich", "weak_label", "weak_label"),
        ("丁寧", "丁寧ではない", "weak_label", "weak_label"),
        ("विनम्र", "विनम्र नहीं", "weak_label", "weak_label"),
        ("Yes", "No", "bare_labels", None),
        ("High risk", "Low risk", "bare_labels", None),
        ("Clear", "Unclear", "bare_labels", None),
        ("はい", "いいえ", "bare_labels", None),
        ("Needs action now", "No hurry", None, None),
        ("Zugewandt", "Abweisend", None, None),
        ("嬉しい", "悲しい", None, None),
        ("विनम्र", "रूखा", None, None),
    ],
)
def test_labels_that_say_too_little_are_named_until_a_paraphrase_says_what_they_mean(
    positive: str | None, negative: str | None, kind: str | None, beside_seeds: str | None
) -> None:
    said = labels(positive, negative)

    assert [kind][: bool(kind)] == list_kinds(said)
    assert [beside_seeds][: bool(beside_seeds)] == list_kinds(said, seeds=True)
    assert [] == list_kinds(said, both("Thanks people.", "Snaps at people."))


def test_hint_stands_at_the_line_of_its_field() -> None:
    head = "traits:\n  - type: spectrum\n    key: warmth\n    description: Kind?\n    positive_label: Warm\n"
    text = f"{head}    negative_label: Not warm\n"
    [hint] = list_pole_hints(make_examined(text))
    [derived] = list_pole_hints(make_examined(head))

    assert (f"{FILE}:6", "warmth") == (hint.place, hint.trait)
    assert str(hint).startswith(f"{FILE}:6: warmth: 'Not warm' says only what is missing. Name in negative_label ")
    assert f"{FILE}:2" == derived.place


def test_what_is_told_beside_the_labels_depends_on_type_description_and_samples() -> None:
    one_sided = {"positive_paraphrase": "Thanks people."}

    assert ["no_description"] == list_kinds(WARM, {"description": ""})
    assert ["one_sided_paraphrase"] == list_kinds(WARM, one_sided)
    assert [] == list_kinds(WARM, one_sided, seeds=True)
    for type_ in ("topic", "claim", "outlier"):
        assert [] == list_kinds(type_=type_)


@pytest.mark.parametrize(
    ("positive", "negative", "kind"),
    [
        ("Kind words.", "Kind words!", "same_paraphrase"),
        (["Hugs people.", "Kind words."], ["Snaps.", "kind words"], "same_paraphrase"),
        ("Kind to people.", "Not kind to people.", "weak_paraphrase"),
        ("Cold words about rules.", "Warm words of thanks.", "swapped_paraphrases"),
        ("Warm words of thanks.", "Cold words about rules.", None),
        ("Not cold at all.", "Not warm in any way, but curt.", None),
        ("Short replies that thank people.", "Long replies that snap at people.", "differs_in_length"),
        ("A brief reply of thanks.", "Snaps at people.", "differs_in_length"),
        ("短い返信でお礼を言う。", "長い返信で責める。", "differs_in_length"),
        ("छोटे उत्तर जो धन्यवाद देते हैं।", "लंबे उत्तर जो डाँटते हैं।", "differs_in_length"),
        ("Short sentences that thank people.", "Long sentences that snap at people.", None),
        ("Short replies that thank people.", "Short replies that snap at people.", None),
        ("Knows how long people wait.", "Takes no note of people.", None),
        ("No longer kind to people.", "As short as a rule, but kind.", None),
        ("How long a reply is does not matter.", "Snaps at people.", None),
        ("A letter that thanks people.", "A tweet that snaps at people.", "differs_in_form"),
        ("Rezensionen voller Lob.", "Briefe voller Vorwürfe.", "differs_in_form"),
        ("समीक्षा जो धन्यवाद देती है।", "कविता जो डाँटती है।", "differs_in_form"),
        ("A letter that thanks people.", "A letter that snaps at people.", None),
        ("A letter that thanks people.", "Snaps at people.", None),
        ("Reports that it went well.", "A story about rules.", None),
        ("Reviews the trouble and thanks people.", "A tweet of rules.", None),
    ],
)
def test_paraphrases_that_do_not_tell_the_trait_are_named(positive: object, negative: object, kind: str | None) -> None:
    assert [kind][: bool(kind)] == list_kinds(WARM, both(positive, negative), seeds=True)


@pytest.mark.parametrize(
    ("fields", "type_", "positive", "negative"),
    [
        ({"description": "Whether a reply is short."} | WARM, "spectrum", "Short replies.", "Long replies."),
        ({"name": "Length"} | WARM, "spectrum", "Short replies.", "Long replies."),
        (labels("Short", "Long"), "spectrum", "Short replies.", "Long replies."),
        (labels("Advert", "Private"), "spectrum", "An advert for a product.", "A letter to a friend."),
        (labels("Buying", "Else"), "topic", "An advert for a product.", "A letter to a friend."),
    ],
)
def test_length_and_kind_may_differ_where_the_trait_is_about_them_and_kinds_in_topics(
    fields: dict[str, object], type_: str, positive: str, negative: str
) -> None:
    assert [] == list_kinds(fields, both(positive, negative), type_=type_, seeds=True)


@pytest.mark.parametrize(
    ("positive", "negative", "differs"),
    [
        ("Warm", "ठंडा", True),
        ("丁寧", "Rude", True),
        ("ひらがな", "カタカナ", False),
        ("Ｗarm", "Cold", False),
        ("AI", "人間", False),
        ("良い", "わるい", False),
    ],
)
def test_labels_in_two_scripts_are_named_and_the_scripts_of_one_language_are_one(
    positive: str, negative: str, differs: bool
) -> None:
    assert differs == ("differs_in_script" in list_kinds(labels(positive, negative), seeds=True))
