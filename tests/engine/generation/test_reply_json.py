"""The JSON of a reply is read from wherever it stands, and its values are checked strictly."""

import json
from typing import Literal

import pytest

from engine.generation.reply_json import MOST_OBJECTS, NoObjectError, ReplyShape, read_object

WHOLE = json.dumps({"exemplars": [{"text": 'She said "no {way}".', "pole": "positive"}]})
BARE = "{'exemplars': [{text: 'It\\'s so.', \"pole\": \"positive\",},]}"


class Item(ReplyShape):
    text: str
    pole: Literal["positive", "neither"]


class Items(ReplyShape):
    exemplars: list[Item]


def read_items(text: str) -> list[tuple[str, str]]:
    return [(item.text, item.pole) for item in read_object(text, Items).exemplars]


@pytest.mark.parametrize(
    "text",
    [
        WHOLE,
        f"\n  {WHOLE}\n",
        f"\ufeff{WHOLE}",
        f"Sure! Here is what you {{asked}} for:\n\n{WHOLE}\n\nLet me know if you'd like {{more}}.",
        f"```json\n{WHOLE}\n```",
        f"```JSON\n{WHOLE}\n```\n",
        f"``` {WHOLE} ```",
        f"```\n{json.dumps(json.loads(WHOLE), indent=2)}\n```",
        WHOLE.replace('"pole"', '"note": {"mine": [1]}, "pole"'),
        WHOLE.replace('{"exemplars"', '{"reasoning": "as asked", "exemplars"'),
        WHOLE * 2,
        f'{{"exemplars": "see below"}}\n{WHOLE}',
        f'{{"type": "object", "properties": {{"exemplars": {{"type": "array"}}}}}}\n{WHOLE}',
        f'{{"name": "reply", "arguments": {WHOLE}}}',
        f"[{WHOLE}]",
        f"<think>Perhaps {WHOLE.replace('She', 'He')}?</think>\n{WHOLE}",
        f"I draft {{}} first.</thinking>{WHOLE}",
        WHOLE.replace("]}", ",],}"),
        WHOLE.replace("{", "{ // as asked\n", 1),
        WHOLE.replace("}]", "} /* one */ ]"),
    ],
)
def test_object_is_read_from_wherever_it_stands(text: str) -> None:
    assert [('She said "no {way}".', "positive")] == read_items(text)


def test_json5_is_read_where_there_is_no_json() -> None:
    assert [("It's so.", "positive")] == read_items(f"Here: {BARE}.")


def test_line_break_inside_a_string_is_read() -> None:
    assert [("one\ntwo", "positive")] == read_items(WHOLE.replace(json.dumps('She said "no {way}".'), '"one\ntwo"'))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("I'm sorry, I can't help with that.", "no JSON object that can be read in the reply"),
        ("", "no JSON object that can be read in the reply"),
        ("null", "no JSON object that can be read in the reply"),
        ("{'exemplars': [{'text': 'it's so', 'pole': 'positive'}]}", "no JSON object that can be read in the reply"),
        ('{"exemplars": [{"text": "no" way", "pole": "positive"}]}', "no JSON object that can be read in the reply"),
        (f"<think>It is {WHOLE}, I think.", "nothing but thoughts in the reply"),
        ('{"items": []}', "exemplars: Field required"),
        (WHOLE.replace("positive", "up"), "exemplars.0.pole: Input should be 'positive' or 'neither'"),
        (WHOLE.replace('"positive"', "1"), "exemplars.0.pole: Input should be 'positive' or 'neither'"),
        ('{"exemplars": [{"text": 5, "pole": "positive"}]}', "exemplars.0.text: Input should be a valid string"),
        ('{"exemplars": [{"text": "half \\ud83d", "pole": "positive"}]}', "Invalid JSON"),
    ],
)
def test_what_does_not_fit_is_said(text: str, said: str) -> None:
    with pytest.raises(NoObjectError) as caught:
        read_object(text, Items)

    assert said in str(caught.value)
    assert not caught.value.breaks_off


@pytest.mark.parametrize("text", [WHOLE[:-2], f"Here it is: {WHOLE[:30]}", "{", f"```json\n{WHOLE[:-1]}", BARE[:-1]])
def test_object_that_begins_and_does_not_end_breaks_off(text: str) -> None:
    with pytest.raises(NoObjectError) as caught:
        read_object(text, Items)

    assert caught.value.breaks_off


@pytest.mark.parametrize("text", ['{"a":' * 100_000, "{" * 500_000, '{"a": 1}' * 100_000, f'{{"a": "{"x" * 1_000_000}'])
def test_long_nonsense_is_given_up(text: str) -> None:
    with pytest.raises(NoObjectError):
        read_object(text, Items)


def test_objects_beyond_the_most_are_not_looked_at() -> None:
    with pytest.raises(NoObjectError):
        read_object('{"a": 1}' * MOST_OBJECTS + WHOLE, Items)
