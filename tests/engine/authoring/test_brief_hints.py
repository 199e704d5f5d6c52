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
    "positive_label": "Warm",
    "negative_label": "Cold",
    "positive_paraphrase": "Thanks the customer and offers help.",
    "negative_paraphrase": "Curt words about rules.",
}


def list_messages(brief: Mapping[str, object], **trait: object) -> list[str]:
    text = yaml.safe_dump({"traits": [WARMTH | trait], "brief": brief}, allow_unicode=True, sort_keys=False)
    return [hint.message for hint in list_brief_hints(make_examined(text))]


@pytest.mark.parametrize(
    ("field", "text", "told"),
    [
        ("non_goals", "Rewarding length, warmth or layout.", True),
        ("non_goals", "The warmth of the weather.", False),
        ("exemplars_of_good", "A cold, curt message about rules.", True),
        ("exemplars_of_good", "A reply that is never cold.", False),
        ("exemplars_of_good", "Turns a cold complaint into a question.", False),
        ("exemplars_of_good", "Rules that are explained.", False),
        ("failure_modes", "Warm, with thanks and help", True),
        ("failure_modes", "Cold replies.", False),
    ],
)
def test_entry_is_named_where_it_says_the_opposite_and_nothing_else(field: str, text: str, told: bool) -> None:
    messages = list_messages({field: ["Something else altogether.", text]})

    assert told == bool(messages)
    assert all(message.startswith(f"brief.{field}: {text!r} ") for message in messages)


def test_non_goal_is_read_in_other_languages_and_good_and_bad_are_held_against_scales_alone() -> None:
    said = {"name": "丁寧さ", "description": "丁寧さ", "positive_label": "丁寧", "negative_label": "失礼"}
    brief = {"failure_modes": "A warm reply", "non_goals": "Warmth"}

    assert 1 == len(list_messages({"non_goals": "丁寧さを評価すること", "domain": ["丁寧さ"] * 3}, **said))
    assert (2, 1) == (len(list_messages(brief)), len(list_messages(brief, type="topic")))


def test_text_that_is_good_and_a_failure_is_named_with_its_line() -> None:
    brief = "brief:\n  exemplars_of_good: Ends with a date.\n  failure_modes:\n    - Ends with a date\n"
    text = yaml.safe_dump({"traits": [WARMTH]}) + brief
    [hint] = list_brief_hints(make_examined(text))

    assert (f"{FILE}:{len(text.splitlines())}", None) == (hint.place, hint.trait)
    assert "'Ends with a date' stands among exemplars_of_good too" in hint.message


def test_briefs_of_the_catalogue_contradict_nothing() -> None:
    for handle in list_handles(str(MODELS)):
        text = (MODELS / handle / "model.yaml").read_text(encoding="utf-8").replace("type: csv", "type: url")

        assert (handle, []) == (handle, list(list_brief_hints(make_examined(text))))
