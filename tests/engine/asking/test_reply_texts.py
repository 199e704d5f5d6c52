"""Of a reply come as many texts as were asked for, in whatever form they stand there, or the reason why none do."""

import json

import pytest

from engine.asking.reply_json import UnreadableError, read_texts

SCHEMA = json.dumps({"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]})


@pytest.mark.parametrize(
    ("reply", "texts"),
    [
        ('{"text": "one"}\n{"text": "two"}\n{"text": "three"}', ["one", "two", "three"]),
        ('[{"text": "one"}, {"text": "two"}, {"text": "three"}]', ["one", "two", "three"]),
        ('{"exemplars": [{"Text": "one"}, {"Text": "two"}, {"Text": "three"}]}', ["one", "two", "three"]),
        ('{"1": {"text": "one"}, "2": {"text": "two"}, "3": {"text": "three"}}', ["one", "two", "three"]),
        ('Here they are:\n["one", "two", "three"]', ["one", "two", "three"]),
        ('{"texts": ["...", "..."]}\n{"texts": ["one", "two", "three"]}', ["one", "two", "three"]),
        ('{"text": "..."}\n{"text": "one"}\n{"text": "two"}\n{"text": "three"}', ["one", "two", "three"]),
        ('{"texts": ["one", "two", "three", "four"]}', ["two", "three", "four"]),
        ('{"texts": ["one", "", "two"]}', ["one", "two"]),
        ('{"texts": ["one", "one", "two"]}', ["one", "two"]),
        ('{"text": "one"}\n{"text": "\\d"}\n{"text": "three"}', ["one", "three"]),
    ],
)
def test_three_texts_are_read_in_every_form(reply: str, texts: list[str]) -> None:
    assert texts == read_texts(reply, 3)


@pytest.mark.parametrize(
    "reply",
    [
        '{"text": "draft"}\nBetter:\n{"text": "one"}',
        'It has the form {"text": <the text>}.\n{"text": "one"}',
        f'{SCHEMA}\n{{"text": "one"}}',
        '{"text": "\\d"}\nWith its backslash doubled:\n{"text": "one"}',
        '{"text": "one"}\nI hope {this} helps {"sure": 0.9}.',
        '{"thought": "as asked", "text": "one", "note": {"text": "mine"}}',
        '{"name": "reply", "arguments": {"text": "one"}}',
        '{"texts": ["draft", "one"]}',
        '["one"]',
        '"one"',
    ],
)
def test_last_whole_answer_is_read_where_one_was_asked_for(reply: str) -> None:
    assert ["one"] == read_texts(reply, 1)


@pytest.mark.parametrize(
    ("reply", "count", "said"),
    [
        ('{"text": "draft"}\n{"text": "C:\\data"}', 1, "can be read in the reply: Invalid"),
        ('{"text": "draft"}\n{"text": "fin', 1, "does not end"),
        ('{"text": "\\d"}\n{"text": "\\e"}', 2, "can be read in the reply: Invalid"),
        ('{"texts": ["..."]}\n{"texts": ["one", "two"]}', 3, "answers of 1 and 2 texts in one reply, where 3 were"),
        ('{"texts": ["one", 5]}', 2, "no JSON with a text in the reply"),
        ('{"content": "one"}', 1, "no JSON with a text in the reply"),
        ('{"texts": []}', 2, "no JSON with a text in the reply"),
        ('["one", "two"]', 3, "no JSON with a text in the reply"),
        (SCHEMA, 1, "no JSON with a text in the reply"),
    ],
)
def test_what_is_no_clear_answer_is_unreadable_with_its_reason(reply: str, count: int, said: str) -> None:
    with pytest.raises(UnreadableError) as caught:
        read_texts(reply, count)

    assert said in str(caught.value)
