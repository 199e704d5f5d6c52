"""A brief that contradicts a trait is named where nothing else can be meant, and not where something else may be."""

from collections.abc import Mapping

import pytest
import yaml
from fakes.examined import make_examined

from engine.authoring.brief_hints import list_brief_hints

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
        ("failure_modes", "Warm, with thanks and help", True),
        ("failure_modes", "Cold replies.", False),
    ],
)
def test_entry_is_named_where_it_says_the_opposite_and_nothing_else(field: str, text: str, told: bool) -> None:
    messages = list_messages({field: ["Something else altogether.", text]})

    assert told == bool(messages)
    assert all(message.startswith(f"brief.{field}: {text!r} ") for message in messages)
