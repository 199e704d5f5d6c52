"""YAML is read as text with the line of each value; what is broken or a bomb is refused at once, with its line."""

import pytest

from engine.definitions.yaml_document import MAX_BYTES, parse_yaml
from engine.domain.characters import INVALID, VALID
from engine.errors import DefinitionError, Problem

NO_ANCHORS = "YAML with spaces, no anchors"
ANCHOR = "anchors and aliases are not read here"
NO_WORD = f"a list, an object or {INVALID} in the name of a field"


def find_problems(content: str | bytes) -> tuple[Problem, ...]:
    with pytest.raises(DefinitionError) as caught:
        parse_yaml("model.yaml", content.encode() if isinstance(content, str) else content)
    return caught.value.problems


def test_values_come_with_their_lines_and_what_is_not_there_with_that_of_its_parent() -> None:
    content = b"# a comment\nname: >-\n  one\n  two\ntraits:\n  - key: a\n    type: topic\n  - key: b\n"
    document = parse_yaml("model.yaml", content)

    assert {"name": "one two", "traits": [{"key": "a", "type": "topic"}, {"key": "b"}]} == document.value
    assert (2, 5) == (document.line(("name",)), document.line(("traits",)))
    assert (6, 7) == (document.line(("traits", 0)), document.line(("traits", 0, "type")))
    assert (8, 8) == (document.line(("traits", 1, "key")), document.line(("traits", 1, "type")))
    assert 2 == document.line(("effort",))


@pytest.mark.parametrize(
    ("content", "value"),
    [
        *((f"a: {text}\n", {"a": text}) for text in ("yes", "Off", "1", "1.0", "007", "1e3", ".nan", "2024-01-02")),
        *((f"a: {text}\nb: '{text}'\n", {"a": None, "b": text}) for text in ("", "~", "null", "Null", "NULL")),
        *((empty, None) for empty in ("", "\n\n", "# only a comment\n", "---\n", "\ufeff")),
        ("\ufeffname: ü\r\n", {"name": "ü"}),
        ("name: !!python/object/apply:os.system ['exit 1']\n", {"name": ["exit 1"]}),
    ],
)
def test_file_is_read_as_data_and_a_plain_value_stays_the_text_that_was_written(content: str, value: object) -> None:
    assert value == parse_yaml("model.yaml", content.encode()).value


@pytest.mark.parametrize(
    ("content", "line", "field", "found", "allowed"),
    [
        ("traits:\n  - key: a\n\ttype: b\n", 3, "file", "a tab", NO_ANCHORS),
        ("a: 1\nb: [1, 2\nc: 3\n", 3, "file", None, NO_ANCHORS),
        ("a: 1\n--- \nb: 2\n", 2, "file", None, NO_ANCHORS),
        ("a: 1\n b: 2\n", 2, "file", "a colon where none can stand", None),
        ("a: \x00\n", None, "file", None, "YAML text"),
        ("name: x\na: &a [lol]\nb: &b [*a, *a]\n", 2, "file", ANCHOR, NO_ANCHORS),
        ("{a: " * 2000, None, "file", "nesting deeper than can be read", "lists of fields"),
        (b"name: caf\xe9\n", None, "file", "a byte that is not UTF-8 at offset 9", "UTF-8 text"),
        *((f'a: "x{half}y"\n', 1, "a", INVALID, VALID) for half in (r"\uDFFF", r"\0")),
        ("b: 1\n? [a, b]\n: c\n", 2, "file", NO_WORD, "a word"),
    ],
)
def test_what_is_broken_or_a_bomb_is_one_mistake_with_its_line(
    content: str | bytes, line: int | None, field: str, found: str | None, allowed: str | None
) -> None:
    [problem] = find_problems(content)

    assert ("model.yaml", line, field) == (problem.file, problem.line, problem.field)
    assert (True, True) == (found in (None, problem.found), allowed in (None, problem.allowed))


def test_every_doubled_field_is_named_with_its_second_line() -> None:
    problems = find_problems("name: a\ntraits:\n  - key: a\n    key: b\nname: c\n")

    assert [(4, "key"), (5, "name")] == [(problem.line, problem.field) for problem in problems]
    assert {"a second time in one object"} == {problem.found for problem in problems}


def test_file_of_exactly_one_mebibyte_is_read_and_one_of_a_byte_more_is_not() -> None:
    # Of four bytes a character, since the time that parsing takes is that of the characters.
    largest = f"#   {(MAX_BYTES // 4 - 1) * '😀'}".encode()

    assert parse_yaml("model.yaml", largest).value is None
    assert "1,048,577 bytes" == find_problems(largest + b"#")[0].found
