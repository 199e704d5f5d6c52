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


@pytest.mark.parametrize(
    "pair", [pair for file in FILES for pair in list_label_pairs(file)], ids=lambda pair: pair.name
)
def test_paraphrases_that_people_wrote_in_six_languages_get_no_hint(pair: LabelPair) -> None:
    said = {"name": pair.name, "description": pair.description}

    assert [] == list_kinds(
        said, labels(*pair.labels), both([*pair.paraphrases["positive"]], [*pair.paraphrases["negative"]])
    )


def test_trait_without_a_description_is_named() -> None:
    assert ["no_description"] == list_kinds(labels("Warm", "Cold"), {"description": ""})


@pytest.mark.parametrize(
    ("positive", "negative"),
    [
        ("Rude", "Not rude"),
        ("Polite", None),
        (None, None),
        ("Freundlich", "Nicht freundlich"),
        ("Poli", "Pas poli"),
        ("丁寧", "丁寧ではない"),
        ("विनम्र", "विनम्र नहीं"),
        ("Вежливый", "Не вежливый"),
    ],
)
@pytest.mark.parametrize("seeds", [True, False])
def test_label_that_only_negates_the_other_is_named_until_a_paraphrase_says_what_it_means(
    positive: str | None, negative: str | None, seeds: bool
) -> None:
    assert ["weak_label"] == list_kinds(labels(positive, negative), seeds=seeds)
    assert [] == list_kinds(labels(positive, negative), both("Thanks people.", "Snaps at people."), seeds=seeds)


def test_hint_stands_at_the_line_of_its_field() -> None:
    head = "traits:\n  - type: spectrum\n    key: warmth\n    description: Kind?\n    positive_label: Warm\n"
    text = f"{head}    negative_label: Not warm\n"
    [hint] = list_pole_hints(make_examined(text))
    [derived] = list_pole_hints(make_examined(head))

    assert (f"{FILE}:6", "warmth") == (hint.place, hint.trait)
    assert str(hint).startswith(f"{FILE}:6: warmth: 'Not warm' says only what is missing. Name in negative_label ")
    assert f"{FILE}:2" == derived.place


@pytest.mark.parametrize(
    ("positive", "negative"),
    [("Yes", "No"), ("High risk", "Low risk"), ("Clear", "Unclear"), ("はい", "いいえ"), ("हाँ", "नहीं")],
)
def test_bare_labels_are_named_where_there_is_little_else(positive: str, negative: str) -> None:
    assert ["bare_labels"] == list_kinds(labels(positive, negative))
    assert [] == list_kinds(labels(positive, negative), both("Thanks people.", "Snaps at people."))


def test_bare_labels_are_fine_where_samples_show_the_poles() -> None:
    assert [] == list_kinds(labels("Clear", "Unclear"), seeds=True)


@pytest.mark.parametrize("type_", ["topic", "claim", "outlier"])
def test_default_labels_of_other_types_are_fine(type_: str) -> None:
    assert [] == list_kinds(type_=type_)


@pytest.mark.parametrize(
    ("positive", "negative"),
    [
        ("Warm", "Cold"),
        ("Needs action now", "No hurry"),
        ("Can't wait", "Whenever there is time"),
        ("Zugewandt", "Abweisend"),
        ("嬉しい", "悲しい"),
        ("विनम्र", "रूखा"),
        ("Объясняет", "Перечисляет"),
    ],
)
def test_labels_that_name_both_poles_are_fine(positive: str, negative: str) -> None:
    assert [] == list_kinds(labels(positive, negative))


@pytest.mark.parametrize(
    ("positive", "negative", "kind"),
    [
        ("Kind words.", "Kind words!", "same_paraphrase"),
        (["Hugs people.", "Kind words."], ["Snaps.", "kind words"], "same_paraphrase"),
        ("Kind to people.", "Not kind to people.", "weak_paraphrase"),
        ("Cold words about rules.", "Warm words of thanks.", "swapped_paraphrases"),
        ("Short replies that thank people.", "Long replies that snap at people.", "differs_in_length"),
        ("A brief reply of thanks.", "Snaps at people.", "differs_in_length"),
        ("Kurze Antworten mit Dank.", "Lange Antworten voller Vorwürfe.", "differs_in_length"),
        ("短い返信でお礼を言う。", "長い返信で責める。", "differs_in_length"),
        ("छोटे उत्तर जो धन्यवाद देते हैं।", "लंबे उत्तर जो डाँटते हैं।", "differs_in_length"),
        ("A letter that thanks people.", "A tweet that snaps at people.", "differs_in_form"),
        ("Rezensionen voller Lob.", "Briefe voller Vorwürfe.", "differs_in_form"),
        ("समीक्षा जो धन्यवाद देती है।", "कविता जो डाँटती है।", "differs_in_form"),
    ],
)
def test_paraphrases_that_do_not_tell_the_trait_are_named(positive: object, negative: object, kind: str) -> None:
    assert [kind] == list_kinds(labels("Warm", "Cold"), both(positive, negative), seeds=True)


@pytest.mark.parametrize(
    ("positive", "negative"),
    [
        ("Warm words of thanks.", "Cold words about rules."),
        ("Not cold at all.", "Not warm in any way, but curt."),
        ("Short sentences that thank people.", "Long sentences that snap at people."),
        ("Short replies that thank people.", "Short replies that snap at people."),
        ("A letter that thanks people.", "A letter that snaps at people."),
        ("A letter that thanks people.", "Snaps at people."),
        ("Reports that it went well.", "A story about rules."),
        ("Reviews the trouble and thanks people.", "A tweet of rules."),
        ("Knows how long people wait.", "Takes no note of people."),
        ("No longer kind to people.", "As short as a rule, but kind."),
        ("How long a reply is does not matter.", "Snaps at people."),
        ("Gives the reason for the refusal.", "Gives no reason and quotes the rule."),
        ("お礼を言う。", "規則だけを述べる。"),
    ],
)
def test_paraphrases_of_the_trait_alone_are_fine(positive: object, negative: object) -> None:
    assert [] == list_kinds(labels("Warm", "Cold"), both(positive, negative), seeds=True)


@pytest.mark.parametrize(
    "fields",
    [
        {"description": "Whether a reply is short.", **labels("Terse", "Rambling")},
        {"name": "Length", **labels("Terse", "Rambling")},
        labels("Short", "Long"),
    ],
)
def test_length_may_differ_where_the_trait_is_about_it(fields: dict[str, object]) -> None:
    assert [] == list_kinds(fields, both("Short replies.", "Long replies."), seeds=True)


def test_kinds_of_text_may_differ_where_the_trait_is_about_them_and_in_topics() -> None:
    paraphrases = both("An advert for a product.", "A letter to a friend.")

    assert [] == list_kinds(labels("Advert", "Private"), paraphrases, seeds=True)
    assert [] == list_kinds(labels("Buying", "Else"), paraphrases, type_="topic", seeds=True)


@pytest.mark.parametrize(("positive", "negative"), [("Warm", "ठंडा"), ("丁寧", "Rude"), ("Тёплый", "Cold")])
def test_labels_in_two_scripts_are_named(positive: str, negative: str) -> None:
    assert ["differs_in_script"] == list_kinds(labels(positive, negative), seeds=True)


@pytest.mark.parametrize(
    ("positive", "negative"),
    [("ひらがな", "カタカナ"), ("Ｗarm", "Cold"), ("1", "Cold"), ("AI", "人間"), ("良い", "わるい")],
)
def test_scripts_of_one_language_are_one(positive: str, negative: str) -> None:
    assert "differs_in_script" not in list_kinds(labels(positive, negative), seeds=True)


def test_paraphrase_of_one_pole_alone_is_named_where_there_are_few_samples() -> None:
    assert ["one_sided_paraphrase"] == list_kinds(labels("Warm", "Cold"), {"positive_paraphrase": "Thanks people."})
    assert [] == list_kinds(labels("Warm", "Cold"), {"positive_paraphrase": "Thanks people."}, seeds=True)
