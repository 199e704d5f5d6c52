"""A brief that contradicts a trait is named where nothing else can be meant, and not where something else may be."""

from collections.abc import Mapping

import pytest
import yaml
from fakes.examined import FILE, make_examined

from engine.authoring.brief_hints import list_brief_hints
from engine.definitions.loader import list_handles
from engine.settings import PROJECT_ROOT

MODELS = PROJECT_ROOT / "data" / "models"
WARMTH = {
    "type": "spectrum",
    "key": "warmth",
    "description": "Whether the reply is kind.",
    "positive_label": "Warm",
    "negative_label": "Cold",
    "positive_paraphrase": "Thanks the customer and offers help.",
    "negative_paraphrase": "Curt words about rules.",
}


def list_messages(brief: Mapping[str, object], trait: Mapping[str, object] | None = None) -> list[str]:
    text = yaml.safe_dump(
        {"traits": [{**WARMTH, **(trait or {})}], "brief": brief}, allow_unicode=True, sort_keys=False
    )
    return [hint.message for hint in list_brief_hints(make_examined(text))]


@pytest.mark.parametrize(
    "text",
    [
        "Judging warmth.",
        "Warmth",
        "Rewarding length, warmth or layout.",
        "How warm the reply is.",
        "Scoring the warmth of replies",
    ],
)
def test_non_goal_that_the_trait_judges_is_named(text: str) -> None:
    [message] = list_messages({"non_goals": ["Judging spelling.", text]})

    assert f"brief.non_goals: {text!r} must not be judged by the brief, and is what the trait judges" == message


@pytest.mark.parametrize(
    "text",
    [
        "Judging whether the refusal is right.",
        "The warmth of the weather.",
        "Global warming.",
        "Judging grammar, layout and facts.",
        "Rewarding warm words where the customer asked for none.",
    ],
)
def test_non_goal_of_something_else_is_fine(text: str) -> None:
    assert [] == list_messages({"non_goals": text})


@pytest.mark.parametrize(
    ("trait", "text"),
    [
        (
            {"name": "Freundlichkeit", "positive_label": "Freundlich", "negative_label": "Abweisend"},
            "Freundlichkeit oder Länge bewerten",
        ),
        ({"name": "丁寧さ", "positive_label": "丁寧", "negative_label": "失礼"}, "丁寧さを評価すること"),
        ({"name": "विनम्रता", "positive_label": "विनम्र", "negative_label": "रूखा"}, "विनम्रता का मूल्यांकन"),
    ],
)
def test_non_goal_is_read_in_other_languages(trait: dict[str, object], text: str) -> None:
    told = {
        "description": trait["name"],
        "positive_paraphrase": trait["positive_label"],
        "negative_paraphrase": trait["negative_label"],
    }

    assert 1 == len(list_messages({"non_goals": text, "domain": [str(trait["name"])] * 3}, {**trait, **told}))


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("exemplars_of_good", "Cold replies."),
        ("exemplars_of_good", "A cold, curt message about rules."),
        ("failure_modes", "A warm reply"),
        ("failure_modes", "Warm, with thanks and help"),
    ],
)
def test_entry_made_of_the_other_poles_words_is_named(field: str, text: str) -> None:
    [message] = list_messages({field: ["Something else altogether.", text]})

    assert message.startswith(f"brief.{field}: {text!r} stands under {field}, ")


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("exemplars_of_good", "Warm replies."),
        ("exemplars_of_good", "A reply that is never cold."),
        ("exemplars_of_good", "Turns a cold complaint into a question."),
        ("exemplars_of_good", "Rules that are explained."),
        ("failure_modes", "Cold replies."),
        ("failure_modes", "Warm words without an answer."),
        ("failure_modes", "Warm, but the amount is missing."),
        ("failure_modes", "Thanks in stock phrases."),
        ("edge_cases", "A cold reply."),
    ],
)
def test_entry_that_says_more_or_the_poles_own_words_is_fine(field: str, text: str) -> None:
    assert [] == list_messages({field: text})


@pytest.mark.parametrize("type_", ["topic", "claim", "outlier"])
def test_good_and_bad_are_held_against_scales_alone(type_: str) -> None:
    assert [] == list_messages({"failure_modes": "A warm reply"}, {"type": type_})


def test_text_that_is_good_and_a_failure_is_named_with_its_line() -> None:
    text = (
        yaml.safe_dump({"traits": [WARMTH]})
        + "brief:\n  exemplars_of_good: Ends with a date.\n  failure_modes:\n    - Ends with a date\n"
    )
    [hint] = list_brief_hints(make_examined(text))

    assert (f"{FILE}:{len(text.splitlines())}", None) == (hint.place, hint.trait)
    assert (
        "brief.failure_modes: 'Ends with a date' stands among exemplars_of_good too: it is one of them" == hint.message
    )


@pytest.mark.parametrize("handle", list_handles(str(MODELS)))
def test_briefs_of_the_catalogue_contradict_nothing(handle: str) -> None:
    text = (MODELS / handle / "model.yaml").read_text(encoding="utf-8").replace("type: csv", "type: url")

    assert [] == list(list_brief_hints(make_examined(text)))
