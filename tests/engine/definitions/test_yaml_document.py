"""YAML is read as text with the line of each value; what is broken or a bomb is refused at once, with its line."""

import time

import pytest

from engine.definitions.yaml_document import MAX_BYTES, parse_yaml
from engine.errors import DefinitionError, Problem

NO_ANCHORS = "YAML with spaces, no anchors"


def find_problems(content: bytes) -> tuple[Problem, ...]:
    with pytest.raises(DefinitionError) as caught:
        parse_yaml("model.yaml", content)
    return caught.value.problems


def test_values_come_with_their_lines() -> None:
    document = parse_yaml("model.yaml", b"# a comment\nname: x\ntraits:\n  - key: a\n    type: topic\n  - key: b\n")

    assert {"name": "x", "traits": [{"key": "a", "type": "topic"}, {"key": "b"}]} == document.value
    assert 2 == document.line(("name",))
    assert 3 == document.line(("traits",))
    assert 4 == document.line(("traits", 0))
    assert 5 == document.line(("traits", 0, "type"))
    assert 6 == document.line(("traits", 1, "key"))


def test_content_that_was_parsed_before_is_not_parsed_again() -> None:
    content = b"name: parsed once\n"

    assert parse_yaml("model.yaml", content) is parse_yaml("model.yaml", content)
    assert parse_yaml("model.yaml", content) is not parse_yaml("other.yaml", content)


def test_field_that_is_not_there_has_the_line_of_what_should_hold_it() -> None:
    document = parse_yaml("model.yaml", b"name: x\ntraits:\n  - key: a\n")

    assert 3 == document.line(("traits", 0, "type"))
    assert 1 == document.line(("effort",))


def test_text_over_several_lines_is_joined_and_keeps_its_first_line() -> None:
    document = parse_yaml("model.yaml", b"description: >-\n  one\n  two\neffort: low\n")

    assert {"description": "one two", "effort": "low"} == document.value
    assert (1, 4) == (document.line(("description",)), document.line(("effort",)))


@pytest.mark.parametrize(
    "text",
    ["yes", "no", "on", "Off", "true", "False", "1", "1.0", "007", "0x1F", "1e3", ".nan", "2024-01-02", "12:30:00"],
)
def test_plain_value_stays_the_text_that_was_written(text: str) -> None:
    assert {"label": text} == parse_yaml("model.yaml", f"label: {text}\n".encode()).value


@pytest.mark.parametrize("text", ["", "~", "null", "Null", "NULL"])
def test_empty_plain_value_is_nothing(text: str) -> None:
    assert {"label": None} == parse_yaml("model.yaml", f"label: {text}\n".encode()).value


@pytest.mark.parametrize("text", ["null", "~", ""])
def test_quoted_value_is_a_text_whatever_it_says(text: str) -> None:
    assert {"label": text} == parse_yaml("model.yaml", f"label: '{text}'\n".encode()).value


@pytest.mark.parametrize("content", [b"", b"\n\n", b"# only a comment\n", b"---\n", b"\xef\xbb\xbf"])
def test_empty_file_holds_nothing(content: bytes) -> None:
    assert parse_yaml("model.yaml", content).value is None


def test_byte_order_mark_is_passed_over() -> None:
    assert {"name": "ü"} == parse_yaml("model.yaml", "\ufeffname: ü\r\n".encode()).value


def test_tag_is_never_evaluated() -> None:
    document = parse_yaml("model.yaml", b"name: !!python/object/apply:os.system ['exit 1']\n")

    assert {"name": ["exit 1"]} == document.value


def test_tab_is_named_with_its_line() -> None:
    assert (Problem("model.yaml", 3, "file", "a tab", NO_ANCHORS),) == find_problems(
        b"traits:\n  - key: a\n\ttype: b\n"
    )


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"a: 1\nb: [1, 2\nc: 3\n", 3),
        (b"a: 'open\n", 2),
        (b"a: 1\n--- \nb: 2\n", 2),
        (b"a: 1\n@b: 2\n", 2),
        (b"a: %b\n", 1),
    ],
)
def test_broken_yaml_is_one_mistake_with_its_line(content: bytes, line: int) -> None:
    (problem,) = find_problems(content)

    assert ("model.yaml", line, "file", NO_ANCHORS) == (problem.file, problem.line, problem.field, problem.allowed)
    assert problem.found


@pytest.mark.parametrize(("content", "line"), [(b"a: b: c\n", 1), (b"a: 1\n b: 2\n", 2)])
def test_colon_in_a_text_is_told_with_the_quotes_that_it_wants(content: bytes, line: int) -> None:
    allowed = "a text with a colon in quotes, and the fields of an object in one column"

    assert (Problem("model.yaml", line, "file", "a colon where none can stand", allowed),) == find_problems(content)


def test_control_character_is_refused() -> None:
    (problem,) = find_problems(b"a: \x00\n")

    assert ("unacceptable character #x0000: special characters are not allowed", "YAML text") == (
        problem.found,
        problem.allowed,
    )


def test_bomb_of_aliases_is_refused_at_its_first_anchor() -> None:
    lines = ['a: &a ["lol", "lol", "lol", "lol", "lol", "lol", "lol", "lol", "lol"]']
    lines += [f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]" for old, new in zip("abcdefgh", "bcdefghi", strict=True)]
    begun = time.process_time()
    problems = find_problems("\n".join(["name: x", *lines]).encode())

    assert (Problem("model.yaml", 2, "file", "anchors and aliases are not read here", NO_ANCHORS),) == problems
    assert time.process_time() - begun < 1


@pytest.mark.parametrize("content", [b"a: *b\n", b"a: &b c\n", b"a: 1\n&b c: 1\n", b"a: &b {c: 1}\nd:\n  <<: *b\n"])
def test_anchor_and_alias_are_refused_wherever_they_stand(content: bytes) -> None:
    assert ["anchors and aliases are not read here"] == [problem.found for problem in find_problems(content)]


@pytest.mark.parametrize(
    "content", [b"a: " + b"[" * 100_000, b"a: " + b"[" * 2000 + b"]" * 2000, b"{a: " * 2000, b"- " * 5000 + b"a"]
)
def test_deep_nesting_is_refused_quickly(content: bytes) -> None:
    begun = time.process_time()
    problems = find_problems(content)

    assert (Problem("model.yaml", None, "file", "nesting deeper than can be read", "lists of fields"),) == problems
    assert time.process_time() - begun < 2


def test_every_doubled_field_is_named_with_its_second_line() -> None:
    problems = find_problems(b"name: a\ntraits:\n  - key: a\n    key: b\nname: c\n")

    assert (
        Problem("model.yaml", 4, "key", "a second time in one object", "each field once"),
        Problem("model.yaml", 5, "name", "a second time in one object", "each field once"),
    ) == problems


def test_same_field_in_two_objects_is_no_mistake() -> None:
    assert [{"key": "a"}, {"key": "b"}] == parse_yaml("model.yaml", b"- key: a\n- key: b\n").value


def test_bytes_that_are_not_utf8_are_named_with_their_offset() -> None:
    expected = Problem("model.yaml", None, "file", "a byte that is not UTF-8 at offset 9", "UTF-8 text")

    assert (expected,) == find_problems("name: caf\xe9\n".encode("latin-1"))


def test_file_over_one_mebibyte_is_refused() -> None:
    content = b"# " + b"x" * (2 * 1024 * 1024)
    expected = Problem("model.yaml", None, "file", f"{len(content)} bytes", "at most 1048576 bytes")

    assert (expected,) == find_problems(content)


def test_file_of_exactly_one_mebibyte_is_read() -> None:
    assert parse_yaml("model.yaml", b"#" * MAX_BYTES).value is None
    assert 1 == len(find_problems(b"#" * (MAX_BYTES + 1)))


@pytest.mark.parametrize("content", [b'a: "\\ud800"\n', b'a: "x\\uDFFFy"\n'])
def test_half_a_surrogate_pair_is_refused_since_no_file_can_hold_it(content: bytes) -> None:
    expected = Problem("model.yaml", 1, "a", "half of a surrogate pair", "whole Unicode characters")

    assert (expected,) == find_problems(content)


@pytest.mark.parametrize("content", [b"b: 1\n? [a, b]\n: c\n", b"b: 1\n? {a: b}\n: c\n", b'b: 1\n"\\ud800": c\n'])
def test_field_whose_name_is_no_word_is_refused(content: bytes) -> None:
    expected = Problem(
        "model.yaml", 2, "file", "a list, an object or half a character as the name of a field", "a word"
    )

    assert (expected,) == find_problems(content)
