"""Lines of JSONL and CSV become seeds; every line that cannot be one is named with its number."""

import io

import pytest
from fakes.builders import make_parquet, make_trait

from engine.definitions.sources.labelled_lines import (
    QUALITY_WORDS,
    Labels,
    gather_lines,
    list_qualities,
    parse_quality,
    walk_labelled,
)
from engine.definitions.sources.tables import ALLOWED_CELL, ALLOWED_CSV, Format, Table
from engine.domain.characters import INVALID, VALID
from engine.domain.model import Seed
from engine.errors import Problem

CLARITY = make_trait()
WARMTH = make_trait("warmth", positive_label="Very Warm", negative_label="Cold")
MAPPING = {"clarity": CLARITY, "warmth": WARMTH}
TEXT = "a text that is not empty"
MAPPED = ", or in model.yaml `mapping: {text: content}`"
LABEL = "a label in clarity, warmth"
ONE_OBJECT = "one JSON object a line"
NEAREST = (("content", "contents"), ("clarity", "claritty"), ("warmth", None))


def read_jsonl(*lines: bytes, mapping: Labels = MAPPING) -> tuple[list[Seed], list[Problem]]:
    return gather_lines(walk_labelled(Table("s.jsonl", io.BytesIO(b"\n".join(lines)), "jsonl"), mapping))[:2]


def read_csv(text: str | bytes) -> tuple[list[Seed], list[Problem]]:
    content = text if isinstance(text, bytes) else text.encode()
    return gather_lines(walk_labelled(Table("s.csv", io.BytesIO(content), "csv"), MAPPING))[:2]


def test_words_of_the_contract_are_qualities() -> None:
    words = {
        1.0: ("positive", "good", "yes", "high", "strong", "excellent"),
        0.5: ("fair", "moderate", "mixed", "medium"),
        0.0: ("poor", "no", "low", "weak", "bad", "negative"),
    }

    assert {word: quality for quality, same in words.items() for word in same} == {
        word: parse_quality(f" {word.title()}\n", WARMTH) for word in QUALITY_WORDS
    }


@pytest.mark.parametrize(
    ("labels", "values", "quality"),
    [
        (("Low", "High"), ("low", "LOW"), 1.0),
        (("Low", "High"), ("good", "poor", "yes", "mixed"), None),
        (("High", "Low"), ("good", "yes"), 1.0),
        (("True", "False"), (True, "true", " TRUE"), 1.0),
        (("1", "0"), (1, "1", "１", 1.0), 1.0),
        (("Very Warm", "Cold"), ("very  warm", "Ｖｅｒｙ Ｗａｒｍ", "ve\u200bry warm"), 1.0),
    ],
)
def test_label_is_read_however_written(
    labels: tuple[str, str], values: tuple[object, ...], quality: float | None
) -> None:
    """A word of the contract does not count where one of the labels turns its meaning round."""
    trait = make_trait("tone", positive_label=labels[0], negative_label=labels[1])

    assert {quality} == {parse_quality(value, trait) for value in values}
    assert ("good" in list_qualities(trait)) is (parse_quality("good", trait) is not None)


def test_number_from_zero_to_one_is_its_own_quality_and_anything_else_is_none() -> None:
    numbers = {0: 0.0, 1: 1.0, 0.25: 0.25, "0.75": 0.75, " 1.0 ": 1.0}
    others: list[object] = [-0.1, 1.0000001, 10**400, float("nan"), True, None, "1.5", "inf", "", [1.0], {}]

    assert numbers == {value: parse_quality(value, WARMTH) for value in numbers}
    assert isinstance(parse_quality(1, WARMTH), float)
    assert {None} == {parse_quality(value, WARMTH) for value in others}


def test_line_labels_each_trait_that_it_names_by_the_field_that_the_mapping_says() -> None:
    line = b'{"content": " Dear you. ", "warmth": "very warm", "clarity": 0.25, "note": "x"}'
    expected = [Seed("warmth", "Dear you.", 1.0, "s.jsonl:1"), Seed("clarity", "Dear you.", 0.25, "s.jsonl:1")]
    mapping: Labels = {"rating": WARMTH, "clarity": None}
    mapped = (b'{"content": "One.", "clarity": "of no known trait"}', b'{"content": "Two.", "rating": "good"}')

    assert (expected, []) == read_jsonl(line)
    assert (expected[1:], []) == read_jsonl(line.replace(b'"very warm"', b"null"))
    assert ([Seed("warmth", "Two.", 1.0, "s.jsonl:2")], []) == read_jsonl(*mapped, mapping=mapping)


@pytest.mark.parametrize(
    ("line", "field", "found", "allowed", "nearest"),
    [
        ("not json", "line", "'not json' (expecting value at character 1)", ONE_OBJECT, None),
        ('["a", 1]', "line", "list", ONE_OBJECT, None),
        ("[" * 100_000, "line", repr("[" * 40), ONE_OBJECT, None),
        ('{"content": "caf\xe9"}', "line", '\'{"content": "caf\ufffd"}\'', ONE_OBJECT, None),
        ('{"clarity": ' + "1" * 5000 + "}", "line", '\'{"clarity": ' + "1" * 28 + "'", ONE_OBJECT, None),
        ('{"content": "One.", "warmth": 1.5}', "warmth", "1.5", list_qualities(WARMTH), None),
        ('{"content": "One.", "warmth": "Excelent"}', "warmth", "'Excelent'", list_qualities(WARMTH), "excellent"),
        ('{"content": "One."}', "line", "no label (no other field)", LABEL, None),
        ('{"content": "One.", "tone": 1, "claritty": 1}', "line", "no label (tone, claritty)", LABEL, "clarity"),
        ('{"clarity": 1}', "content", "nothing", TEXT, None),
        ('{"clarity": 1, "id": 7, "text": "Two words."}', "content", "nothing, but id, text", f"{TEXT}{MAPPED}", None),
        ('{"content": "One.", "warmth": "Uncold"}', "warmth", "'Uncold'", list_qualities(WARMTH), None),
        ('{"content": "One.", "warmth": "Colt"}', "warmth", "'Colt'", list_qualities(WARMTH), "Cold"),
        ('{"clarity": 1, "content": " \\n"}', "content", "' \\n'", TEXT, None),
        ('{"content": "a \\ud83d b"}', "content", INVALID, VALID, None),
        ('{"content": "a\\u0000b", "clarity": 1}', "content", INVALID, VALID, None),
    ],
)
def test_only_the_wrong_line_is_left_out(line: str, field: str, found: str, allowed: str, nearest: str | None) -> None:
    first, last = b'{"content": "\\ud83d\\ude00", "clarity": 1}', b'{"content": "Two.", "clarity": 1}'
    seeds, problems = read_jsonl(first, b"", line.encode("latin-1"), last)

    assert [Problem("s.jsonl", 3, field, found, allowed, nearest)] == problems
    assert [("\U0001f600", "s.jsonl:1"), ("Two.", "s.jsonl:4")] == [(seed.text, seed.place) for seed in seeds]


def test_jsonl_of_windows_is_read_like_any_other_and_only_a_newline_ends_a_line() -> None:
    content = '\ufeff{"content": "One\u2028two\x85three.", "clarity": 1}\r\n \r\n{"content": "Two.", "clarity": 0}\r\n'
    one, two = Seed("clarity", "One\u2028two\x85three.", 1.0, "s.jsonl:1"), Seed("clarity", "Two.", 0.0, "s.jsonl:3")

    assert ([one, two], []) == read_jsonl(content.encode())
    assert ([], []) == read_jsonl(b"  \r\n\n")


def test_csv_rows_become_seeds_and_an_empty_cell_and_the_column_of_nobody_label_nothing() -> None:
    rows = "7,Naïve.,good,0.5\r\n\r\n8,Two., ,cold\r\n9,Three.,1\r\n"
    expected = [
        Seed("clarity", "Naïve.", 1.0, "s.csv:2"),
        Seed("warmth", "Naïve.", 0.5, "s.csv:2"),
        Seed("warmth", "Two.", 0.0, "s.csv:4"),
        Seed("clarity", "Three.", 1.0, "s.csv:5"),
    ]

    assert (expected, []) == read_csv(f"\ufeffid,content,clarity,warmth\r\n{rows}")


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("first", ["sep={}\n", "\ufeffsep={}\r\n", '"SEP={}"\r'])
def test_first_line_may_declare_what_separates_the_cells(first: str, separator: str) -> None:
    end = first.partition("}")[2].lstrip('"')
    rows = ["content,clarity,warmth", "One.,1,0", "Two.,never,"]
    content = first.format(separator) + end.join(rows).replace(",", separator)
    seeds, problems = read_csv(content)

    assert ["content", "clarity", "warmth"] == Table("s", io.BytesIO(content.encode()), "csv").list_fields()
    assert [("One.", "s.csv:3"), ("One.", "s.csv:3")] == [(seed.text, seed.place) for seed in seeds]
    assert [(4, "clarity")] == [(problem.line, problem.field) for problem in problems]
    assert {(2, "contents")} == {(item.line, item.found) for item in read_csv(first.format(separator) + "contents")[1]}


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_quoted_cell_keeps_commas_quotes_and_newlines_and_the_count_of_lines(end: str) -> None:
    rows = ("content,clarity,warmth", f'"One, ""two""{end}three.",good,', "Four.,1,", "Five.,never,")
    seeds, [problem] = read_csv("".join(row + end for row in rows))

    assert [(f'One, "two"{end}three.', "s.csv:2"), ("Four.", "s.csv:4")] == [(seed.text, seed.place) for seed in seeds]
    assert (5, "clarity") == (problem.line, problem.field)


def test_row_that_is_wrong_is_named_and_the_next_is_read() -> None:
    seeds, problems = read_csv("content,clarity,warmth\nOne, two.,1,1\nTwo.,good,\n")

    assert [Problem("s.csv", 2, "line", "4 cells", "3, as in the header; quote a comma")] == problems
    assert [Seed("clarity", "Two.", 1.0, "s.csv:3")] == seeds


def test_row_that_no_file_can_keep_is_named_with_its_line() -> None:
    unfit = [
        ("Two\0.", Problem("s.csv", 3, "content", INVALID, VALID)),
        ("x" * 131_073, Problem("s.csv", 3, "file", "a cell of more than 131,072 characters", ALLOWED_CELL)),
    ]

    for text, problem in unfit:
        assert [problem] == read_csv(f"content,clarity,warmth\nOne.,good,\n{text},good,\n")[1]


def test_columns_that_are_missing_or_stand_twice_are_named_with_the_nearest() -> None:
    seeds, missing = read_csv("contents,claritty\nOne.,good\n")

    assert [(f"a column {name!r}", near) for name, near in NEAREST] == [
        (problem.allowed, problem.suggestion) for problem in missing
    ]
    assert ([], {"contents, claritty"}) == (seeds, {problem.found for problem in missing})
    assert ["nothing"] * 3 == [problem.found for problem in read_csv("")[1]]
    for column in ("content", "clarity"):
        twice = Problem("s.csv", 1, "header", f"{column!r} a second time", "each column once")
        assert ([], [twice]) == read_csv(f"content,clarity,warmth,note,{column},,\nOne.,good,cold,x,y,,\n")


def test_file_that_is_no_csv_is_named_with_the_line_where_that_begins() -> None:
    begin, allowed = b"content,clarity,warmth\nPlain.,good,\n", ALLOWED_CSV
    foreign = Problem("s.csv", None, "file", "bytes that are not UTF-8", allowed)
    unended = Problem("s.csv", 3, "file", "unexpected end of data", allowed)

    assert ([], [foreign]) == read_csv(begin + b"Caf\xe9.,good,\n")
    assert ([], [unended]) == read_csv(begin + b'"Two.,good,\nThree.,1,\n')


JSONL = b'\xef\xbb\xbf{"content": "A.", "clarity": 1}\r\n\n{"content": "B.", "clarity": 1}'
CSV = b'content,clarity,warmth\n"\xc3\xa9\nA.",1,\n\nB.,1,'
PARQUET = make_parquet({"content": ["A.", "B."], "clarity": ["1", "1"], "warmth": [None, "0"]})


@pytest.mark.parametrize(
    ("kind", "content", "numbers"), [("jsonl", JSONL, [1, 3]), ("csv", CSV, [2, 5]), ("parquet", PARQUET, [1, 2])]
)
def test_walk_says_the_number_of_each_line_and_goes_on_from_there(
    kind: Format, content: bytes, numbers: list[int]
) -> None:
    table = Table("s", io.BytesIO(content), kind)
    lines = list(walk_labelled(table, MAPPING))

    assert numbers == [line.number for line in lines]
    for index, line in enumerate(lines):
        assert lines[index:] == list(walk_labelled(table, MAPPING, line.number))
