"""The JSON of a reply is read as it was written or not at all, and of it as many texts as were asked for."""

import json

import pytest

from engine.asking.reply_json import UnreadableError, find_objects, find_values, read_texts

WHOLE = json.dumps({"text": 'She said "no {way}".', "note": ["mine"]})
READ = json.loads(WHOLE)


@pytest.mark.parametrize(
    "text",
    [
        f"\n  {WHOLE}\n",
        f"Sure! Here is what you {{asked}} for [1]:\n\n{WHOLE}\n\nLet me know if you'd like {{more}}.",
        f"```json\n{WHOLE}\n```",
        f"```JSON\n{json.dumps(READ, indent=2)}\n```",
        f"<think>Perhaps {WHOLE.replace('She', 'He')}?</think>\n{WHOLE}",
        f"I draft {{}} first.</thinking>{WHOLE}",
        f"<think>Perhaps.</think>\n<THINK>Or {WHOLE.replace('She', 'He')}.</think>\n{WHOLE}",
        WHOLE.replace('"text"', '" Text"'),
    ],
)
def test_object_is_read_from_wherever_it_stands(text: str) -> None:
    assert [READ] == find_values(text)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        (f"{WHOLE}\n[{WHOLE}]", [READ, [READ]]),
        ('{"text": "one\ntwo"}', [{"text": "one\ntwo"}]),
        ('{"text": "one\r\ntwo"}', [{"text": "one\r\ntwo"}]),
        (r'{"text": "C:\\data\\new, \u00e9 \/ x \\leq 5\n1\t2"}', [{"text": "C:\\data\\new, é / x \\leq 5\n1\t2"}]),
        ('{"text": "See https://a.example // this"}', [{"text": "See https://a.example // this"}]),
        ('```json\n"one"\n```', ["one"]),
        (f"Here it is: {json.dumps(WHOLE)}", [READ]),
    ],
)
def test_what_stands_there_is_read_as_it_was_written(text: str, read: list[object]) -> None:
    assert read == find_values(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (r"""{"text": "C:\data\new"}""", "Invalid \\escape"),
        (r"""{"draft": {"text": "one"}, "text": "\alpha"}""", "Invalid \\escape"),
        (r"""{"text": "It\'s so."}""", "Invalid \\escape"),
        (r"""{"text": "C:\users"}""", "Invalid \\uXXXX escape"),
        ('{"text": "one",}', "no JSON object that can be read in the reply"),
        (r"""{"text": "the \beta"}""", "(U+0008)"),
        (r"""{"text": "C:\temp"}""", "(U+0009)"),
        (r"""{"text": "a\u0000b"}""", "(U+0000)"),
        (r"""{"text": "half \ud83d"}""", "(U+D83D)"),
        ("{'text': 'it's so', 'pole': 'positive'}", "no JSON object that can be read in the reply"),
        ("{“text”: “one”}", "no JSON object in the reply"),
        ("I'm sorry, I can't help with that.", "no JSON object in the reply"),
        ("", "no JSON object in the reply"),
        (f"<think>It is {WHOLE}, I think.", "nothing but thoughts in the reply"),
        (f"<think>It is.</think>\n<think>{WHOLE}", "nothing but thoughts in the reply"),
        ('{"a":' * 101 + "1" + "}" * 101, "more than 100 levels"),
        # Searched for an end from each quotation mark this would take hours.
        ('{"text":"' + r"\"" * 150_000 + "}", "no JSON object that can be read in the reply"),
    ],
)
def test_what_cannot_be_read_as_it_was_written_is_said(text: str, said: str) -> None:
    with pytest.raises(UnreadableError) as caught:
        find_objects(text)

    assert said in str(caught.value)
    assert not caught.value.breaks_off


@pytest.mark.parametrize(
    "text",
    [
        *(WHOLE[:-2], f"Here it is: {WHOLE[:30]}", f"```json\n{WHOLE[:-1]}", f"{WHOLE}\n{WHOLE[:-1]}"),
        f"Here it is: {json.dumps(WHOLE)[:30]}",
    ],
)
def test_object_that_begins_and_does_not_end_breaks_off(text: str) -> None:
    with pytest.raises(UnreadableError) as caught:
        find_objects(text)

    assert caught.value.breaks_off


def test_objects_are_found_in_json_in_a_string() -> None:
    call = {"name": "reply", "arguments": WHOLE}

    assert [READ] == find_objects(json.dumps(WHOLE))
    assert [call | {"arguments": READ}, READ] == find_objects(json.dumps(call))


@pytest.mark.parametrize(
    "text", ['{"a":' * 100_000, "{" * 500_000, '{"a"}' * 20_000, f'{{"a": "{"x" * 1_000_000}', "[[" * 100_000]
)
def test_long_nonsense_is_given_up(text: str) -> None:
    with pytest.raises(UnreadableError):
        find_objects(text)


THREE = {"texts": ["one", 'two "{2}"', "three\n3"]}
IN_STRING, LIST_IN_STRING = json.dumps(THREE, indent=1), json.dumps(THREE["texts"])


@pytest.mark.parametrize(
    "reply",
    [
        json.dumps(IN_STRING),
        f"```json\n{json.dumps(IN_STRING)}\n```",
        f"Here they are:\n{json.dumps(IN_STRING)}\nI hope that this helps.",
        json.dumps(LIST_IN_STRING),
        json.dumps({"texts": LIST_IN_STRING}),
        *(json.dumps({name: IN_STRING}) for name in ("text", "texts", "answer")),
        json.dumps({"texts": [IN_STRING]}),
        json.dumps({"texts": [json.dumps({"text": text}) for text in THREE["texts"]]}),
        json.dumps({"name": "reply", "arguments": IN_STRING}),
        json.dumps(json.dumps([{"text": text} for text in THREE["texts"]])),
    ],
)
def test_json_in_a_string_is_read_like_any_other(reply: str) -> None:
    assert THREE["texts"] == read_texts(reply, 3)


@pytest.mark.parametrize(
    "text", ['{"id": 1, "text": "Hi"}', '{"path": "C:\\temp"}', '["one"]', "{}", "[sic] {one}", '{"text": "on']
)
def test_text_that_is_json_itself_stays_as_it_was_written(text: str) -> None:
    for reply in ({"text": text}, {"texts": [text]}):
        assert [text] == read_texts(json.dumps(reply), 1)


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
        ('{"texts": ["one", {"Text": "two", "id": 2}, "three"]}', ["one", "two", "three"]),
        ('["one", {"text": "two"}, "three"]', ["one", "two", "three"]),
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
        (json.dumps({"text": r'{"text": "the \beta"}'}), 1, "(U+0008)"),
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
