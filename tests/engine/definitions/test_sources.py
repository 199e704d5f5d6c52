"""Lines of JSONL and CSV become seeds; every line that cannot be one is named with its number."""

import io
import json
from collections.abc import Callable, Iterator, Mapping

import pytest
from fakes.builders import make_trait

from engine.definitions.sources import (
    Labels,
    Line,
    gather_lines,
    list_qualities,
    parse_quality,
    walk_csv,
    walk_jsonl,
)
from engine.domain.model import Seed, Trait
from engine.errors import Problem

WARMTH = make_trait("warmth", positive_label="Very Warm", negative_label="Cold")
RISK = make_trait("risk", positive_label="Low", negative_label="High")
MAPPING = {"clarity": make_trait(), "warmth": WARMTH}
ONE_OBJECT = "one JSON object a line"


def write_jsonl(*entries: Mapping[str, object]) -> bytes:
    return "".join(json.dumps(entry) + "\n" for entry in entries).encode()


def read_jsonl(name: str, content: bytes, mapping: Labels) -> tuple[list[Seed], list[Problem]]:
    seeds, problems, _ = gather_lines(walk_jsonl(name, io.BytesIO(content), mapping))
    return seeds, problems


def read_csv(name: str, content: bytes, mapping: Labels) -> tuple[list[Seed], list[Problem]]:
    seeds, problems, _ = gather_lines(walk_csv(name, io.BytesIO(content), mapping))
    return seeds, problems


def read_lines(*lines: bytes) -> tuple[list[Seed], list[Problem]]:
    return read_jsonl("s.jsonl", b"\n".join(lines), MAPPING)


def read_table(text: str) -> tuple[list[Seed], list[Problem]]:
    return read_csv("s.csv", text.encode(), MAPPING)


@pytest.mark.parametrize("word", ["positive", "good", "yes", "high", "strong", "excellent"])
def test_positive_word_is_quality_one(word: str) -> None:
    assert 1.0 == parse_quality(word, WARMTH)


@pytest.mark.parametrize("word", ["fair", "moderate", "mixed", "medium"])
def test_middle_word_is_quality_one_half(word: str) -> None:
    assert 0.5 == parse_quality(word, WARMTH)


@pytest.mark.parametrize("word", ["poor", "no", "low", "weak", "bad", "negative"])
def test_negative_word_is_quality_zero(word: str) -> None:
    assert 0.0 == parse_quality(word, WARMTH)


@pytest.mark.parametrize("word", ["GOOD", " good ", "Good", "good\n"])
def test_word_counts_in_any_case_and_with_spaces_around(word: str) -> None:
    assert 1.0 == parse_quality(word, WARMTH)


@pytest.mark.parametrize(("word", "quality"), [("very warm", 1.0), ("VERY WARM", 1.0), ("Cold", 0.0), (" cOLD ", 0.0)])
def test_own_pole_label_counts_in_any_case(word: str, quality: float) -> None:
    assert quality == parse_quality(word, WARMTH)


def test_own_pole_label_goes_before_a_quality_word() -> None:
    assert (1.0, 0.0) == (parse_quality("low", RISK), parse_quality("high", RISK))


@pytest.mark.parametrize(
    ("labels", "values", "quality"),
    [
        (("Low", "High"), ("good", "poor", "yes", "mixed"), None),
        (("Fine", "Mixed"), ("good", "low"), None),
        (("Bad", "Good"), ("bad",), 1.0),
        (("High", "Low"), ("good", "yes"), 1.0),
        (("True", "False"), (True, "true", " TRUE"), 1.0),
        (("1", "0"), (1, "1", "１", 1.0), 1.0),
        (("Very Warm", "Cold"), ("very  warm", "Ｖｅｒｙ Ｗａｒｍ", "ve\u200bry warm"), 1.0),
        (("Nazik", "İyi"), ("iyi", "İYİ"), 0.0),
    ],
)
def test_label_means_one_thing_however_it_is_written(
    labels: tuple[str, str], values: tuple[object, ...], quality: float | None
) -> None:
    """A word of the contract does not count where one of the labels turns its meaning round."""
    trait = make_trait("tone", positive_label=labels[0], negative_label=labels[1])

    assert {quality} == {parse_quality(value, trait) for value in values}
    assert ("good" in list_qualities(trait)) is (parse_quality("good", trait) is not None)


@pytest.mark.parametrize(
    "line",
    [
        b'{"content": "One.", "clarity": 1, "clarity": 0}',
        b'{"content": "One.", "cl\\u0061rity": 1, "clarity": 1}',
    ],
)
def test_field_that_stands_twice_in_a_line_is_a_mistake(line: bytes) -> None:
    seeds, problems = read_lines(b'{"content": "Zero.", "clarity": 1}', line)

    assert [Problem("s.jsonl", 2, "clarity", "a second time in one line", "each field once")] == problems
    assert ["Zero."] == [seed.text for seed in seeds]


@pytest.mark.parametrize("column", ["content", "clarity", "note"])
def test_column_that_stands_twice_is_a_mistake(column: str) -> None:
    seeds, problems = read_table(f"content,clarity,warmth,note,{column},,\nOne.,good,cold,x,y,,\n")

    assert ([], [Problem("s.csv", 1, "header", f"{column!r} a second time", "each column once")]) == (seeds, problems)


@pytest.mark.parametrize(
    ("value", "quality"),
    [(0, 0.0), (1, 1.0), (0.0, 0.0), (1.0, 1.0), (0.25, 0.25), ("0.75", 0.75), ("1", 1.0), ("0", 0.0), (" 1.0 ", 1.0)],
)
def test_number_from_zero_to_one_is_its_own_quality(value: object, quality: float) -> None:
    read = parse_quality(value, WARMTH)

    assert quality == read
    assert isinstance(read, float)


@pytest.mark.parametrize(
    "value",
    [
        *(1.5, -0.1, 2, -1, 1.0000001, 10**400, float("nan"), float("inf"), float("-inf"), True, False, None),
        *("1.5", "-0.1", "nan", "NaN", "inf", "Infinity", "-inf", "", "warm-ish", "true", "goood", [], [1.0], {}),
    ],
)
def test_anything_else_is_no_quality(value: object) -> None:
    assert parse_quality(value, WARMTH) is None


def test_line_labels_each_trait_that_it_names() -> None:
    seeds, problems = read_lines(b'{"content": " Dear you. ", "warmth": "very warm", "clarity": 0.25, "note": "x"}')

    assert [
        Seed("warmth", "Dear you.", 1.0, "s.jsonl:1"),
        Seed("clarity", "Dear you.", 0.25, "s.jsonl:1"),
    ] == seeds
    assert [] == problems


def test_field_feeds_the_trait_that_the_mapping_says() -> None:
    seeds, problems = read_jsonl("s.jsonl", write_jsonl({"content": "Dear you.", "rating": "good"}), {"rating": WARMTH})

    assert ([Seed("warmth", "Dear you.", 1.0, "s.jsonl:1")], []) == (seeds, problems)


def test_field_of_a_trait_that_is_wrong_itself_is_not_read_and_no_mistake() -> None:
    mapping: Mapping[str, Trait | None] = {"clarity": make_trait(), "warmth": None}
    content = write_jsonl({"content": "One.", "warmth": "boiling"}, {"content": "Two.", "clarity": 1})

    assert ([Seed("clarity", "Two.", 1.0, "s.jsonl:2")], []) == read_jsonl("s.jsonl", content, mapping)


def test_null_labels_nothing_beside_another_label() -> None:
    seeds, problems = read_lines(b'{"content": "Dear you.", "warmth": null, "clarity": 1}')

    assert ([Seed("clarity", "Dear you.", 1.0, "s.jsonl:1")], []) == (seeds, problems)


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        (b"1.5", "1.5"),
        (b"-0.1", "-0.1"),
        (b"NaN", "nan"),
        (b"Infinity", "inf"),
        (b"-Infinity", "-inf"),
        (b"true", "True"),
        (b"[1]", "a list of 1"),
        (b'"maybe"', "'maybe'"),
    ],
)
def test_wrong_quality_is_named_with_its_line_and_field(written: bytes, shown: str) -> None:
    seeds, problems = read_lines(b"", b'{"content": "Dear you.", "warmth": ' + written + b"}")

    assert ([], [Problem("s.jsonl", 2, "warmth", shown, list_qualities(WARMTH))]) == (seeds, problems)


@pytest.mark.parametrize(
    ("written", "nearest"), [("goood", "good"), ("Excelent", "excellent"), ("very wram", "Very Warm"), ("colt", "Cold")]
)
def test_misspelt_quality_word_offers_the_nearest(written: str, nearest: str) -> None:
    _, problems = read_jsonl("s.jsonl", write_jsonl({"content": "Dear you.", "warmth": written}), MAPPING)

    assert [Problem("s.jsonl", 1, "warmth", repr(written), list_qualities(WARMTH), nearest)] == problems


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (b"not json", "'not json' (expecting value at character 1)"),
        (
            b'{"content": "a", "clarity": 1',
            '\'{"content": "a", "clarity": 1\' (expecting \',\' delimiter at character 30)',
        ),
        (
            b"{'content': 'a'}",
            "\"{'content': 'a'}\" (expecting property name enclosed in double quotes at character 2)",
        ),
        (b'["a", 1]', "list"),
        (b'"a"', "str"),
        (b"3", "int"),
        (b"null", "NoneType"),
        (b"[" * 100_000, repr("[" * 40)),
        ('{"content": "caf\xe9"}'.encode("latin-1"), '\'{"content": "caf\ufffd"}\''),
        (b'{"content": "a", "clarity": ' + b"1" * 5000 + b"}", '\'{"content": "a", "clarity": 111111111111\''),
    ],
)
def test_line_that_is_no_json_object_is_named(line: bytes, found: str) -> None:
    seeds, problems = read_lines(line, b'{"content": "Two.", "clarity": 1}')

    assert [Problem("s.jsonl", 1, "line", found, ONE_OBJECT)] == problems
    assert ["s.jsonl:2"] == [seed.place for seed in seeds]


def test_every_mistake_of_a_file_is_named() -> None:
    _, problems = read_lines(b"x", b"", b'{"content": "a", "clarity": 7}', b'{"clarity": 1}', b'{"content": "b"}')

    assert [(1, "line"), (3, "clarity"), (4, "content"), (5, "line")] == [(item.line, item.field) for item in problems]


def test_line_that_labels_nothing_is_named() -> None:
    _, problems = read_lines(b'{"content": "a"}', b'{"content": "b", "warmth": null, "tone": 1}')

    assert [
        Problem("s.jsonl", 1, "line", "no label (no other field)", "a label in clarity, warmth"),
        Problem("s.jsonl", 2, "line", "no label (warmth, tone)", "a label in clarity, warmth", "warmth"),
    ] == problems


def test_line_whose_label_is_misspelt_offers_the_nearest_field() -> None:
    _, problems = read_lines(b'{"content": "b", "claritty": 1}')

    assert [Problem("s.jsonl", 1, "line", "no label (claritty)", "a label in clarity, warmth", "clarity")] == problems


@pytest.mark.parametrize(
    ("written", "found"), [(b"", "nothing"), (b'"content": "",', "''"), (b'"content": " \\n",', "' \\n'")]
)
def test_empty_content_is_named(written: bytes, found: str) -> None:
    seeds, problems = read_lines(b"{" + written + b'"clarity": 1}')

    assert ([], [Problem("s.jsonl", 1, "content", found, "a text that is not empty")]) == (seeds, problems)


@pytest.mark.parametrize(("written", "found"), [("3", "3"), ("null", "nothing"), ('["a"]', "a list of 1")])
def test_content_that_is_no_text_is_named(written: str, found: str) -> None:
    _, problems = read_lines(f'{{"content": {written}, "clarity": 1}}'.encode())

    assert [Problem("s.jsonl", 1, "content", found, "a text that is not empty")] == problems


def test_half_a_surrogate_pair_is_named_and_a_whole_one_read() -> None:
    seeds, problems = read_lines(
        b'{"content": "a \\ud83d b", "clarity": 1}', b'{"content": "a \\ud83d\\ude00 b", "clarity": 1}'
    )

    assert [Problem("s.jsonl", 1, "content", "half of a surrogate pair", "whole Unicode characters")] == problems
    assert ["a \U0001f600 b"] == [seed.text for seed in seeds]


def test_jsonl_of_windows_is_read_like_any_other() -> None:
    content = b'\xef\xbb\xbf{"content": "One.", "clarity": 1}\r\n\r\n{"content": "Two.", "clarity": "bad"}\r\n'
    seeds, problems = read_jsonl("s.jsonl", content, MAPPING)

    assert [Seed("clarity", "One.", 1.0, "s.jsonl:1"), Seed("clarity", "Two.", 0.0, "s.jsonl:3")] == seeds
    assert [] == problems


def test_line_separator_inside_a_text_ends_no_line() -> None:
    seeds, _ = read_jsonl("s.jsonl", '{"content": "One\u2028two\x85three.", "clarity": 1}\n'.encode(), MAPPING)

    assert ["One\u2028two\x85three."] == [seed.text for seed in seeds]


@pytest.mark.parametrize("content", [b"", b"\n", b"  \r\n\n"])
def test_jsonl_without_lines_has_no_seeds(content: bytes) -> None:
    assert ([], []) == read_jsonl("s.jsonl", content, MAPPING)


def test_csv_rows_become_seeds() -> None:
    seeds, problems = read_table("content,clarity,warmth\nOne.,good,0.5\nTwo.,1,cold\n")

    assert [
        Seed("clarity", "One.", 1.0, "s.csv:2"),
        Seed("warmth", "One.", 0.5, "s.csv:2"),
        Seed("clarity", "Two.", 1.0, "s.csv:3"),
        Seed("warmth", "Two.", 0.0, "s.csv:3"),
    ] == seeds
    assert [] == problems


def test_csv_with_a_byte_order_mark_finds_its_first_column() -> None:
    seeds, problems = read_table("\ufeffcontent,clarity,warmth\r\nNaïve.,good,\r\n")

    assert ([Seed("clarity", "Naïve.", 1.0, "s.csv:2")], []) == (seeds, problems)


def test_csv_column_of_nobody_is_passed_over() -> None:
    seeds, problems = read_csv("s.csv", b"id,content,clarity\n7,One.,good\n", {"clarity": make_trait()})

    assert ([Seed("clarity", "One.", 1.0, "s.csv:2")], []) == (seeds, problems)


def test_quoted_cell_keeps_commas_quotes_and_newlines() -> None:
    seeds, problems = read_table('content,clarity,warmth\n"One, ""two""\nthree.",good,\n')

    assert ([Seed("clarity", 'One, "two"\nthree.', 1.0, "s.csv:2")], []) == (seeds, problems)


def test_quoted_cell_of_windows_keeps_its_newlines_and_the_count_of_lines() -> None:
    seeds, _ = read_table('content,clarity,warmth\r\n"One\r\ntwo.",good,\r\nThree.,good,\r\n')

    assert [("One\r\ntwo.", "s.csv:2"), ("Three.", "s.csv:4")] == [(seed.text, seed.place) for seed in seeds]


def test_row_has_the_line_that_it_begins_on_also_around_a_cell_of_several_lines() -> None:
    _, problems = read_table('content,clarity,warmth\n"One\ntwo\nthree.",so-so,\nFour.,wrong,\n\nFive.,never,\n')

    assert [2, 5, 7] == [problem.line for problem in problems]


def test_empty_cell_labels_nothing() -> None:
    seeds, problems = read_table("content,clarity,warmth\nOne., ,cold\nTwo.,good\n")

    assert [("warmth", "s.csv:2"), ("clarity", "s.csv:3")] == [(seed.trait, seed.place) for seed in seeds]
    assert [] == problems


def test_csv_row_without_any_label_or_content_is_named() -> None:
    _, problems = read_table("content,clarity,warmth\nOne.,,\n,good,\n")

    assert [
        Problem("s.csv", 2, "line", "no label (no other field)", "a label in clarity, warmth"),
        Problem("s.csv", 3, "content", "nothing", "a text that is not empty"),
    ] == problems


def test_missing_column_is_named_once_with_the_nearest() -> None:
    seeds, problems = read_table("contents,claritty\nOne.,good\nTwo.,good\n")
    header = "contents, claritty"

    assert [
        Problem("s.csv", 1, "header", header, "a column 'content'", "contents"),
        Problem("s.csv", 1, "header", header, "a column 'clarity'", "claritty"),
        Problem("s.csv", 1, "header", header, "a column 'warmth'"),
    ] == problems
    assert [] == seeds


def test_empty_csv_lacks_its_columns() -> None:
    _, problems = read_table("")

    assert [("header", "nothing", 1)] * 3 == [(item.field, item.found, item.line) for item in problems]


def test_row_with_more_cells_than_the_header_is_named_and_not_cut() -> None:
    seeds, problems = read_table("content,clarity,warmth\nFirst, then second.,good,cold\nTwo.,good,\n")

    allowed = "3, as in the header; quote a comma"
    assert [Problem("s.csv", 2, "line", "4 cells", allowed)] == problems
    assert ["Two."] == [seed.text for seed in seeds]


def test_wrong_quality_in_a_csv_is_named_with_its_column() -> None:
    _, problems = read_table("content,clarity,warmth\nOne.,1.5,\nTwo.,,NaN\n")

    assert [
        Problem("s.csv", 2, "clarity", "'1.5'", list_qualities(MAPPING["clarity"])),
        Problem("s.csv", 3, "warmth", "'NaN'", list_qualities(WARMTH)),
    ] == problems


def test_latin_1_csv_is_named_with_the_line_of_its_first_foreign_byte() -> None:
    content = "content,clarity,warmth\nPlain.,good,\nCafé.,good,\n".encode("latin-1")

    assert (
        [],
        [Problem("s.csv", 3, "file", "a byte that is not UTF-8 at offset 39", "a UTF-8 CSV file with a header row")],
    ) == read_csv("s.csv", content, MAPPING)


def test_quote_that_is_never_closed_is_named_with_the_line_that_opens_it() -> None:
    seeds, problems = read_table('content,clarity,warmth\nOne.,good,\n"Two.,good,\nThree.,good,\n')

    expected = Problem("s.csv", 3, "file", "unexpected end of data", "a UTF-8 CSV file with a header row")
    assert ([], [expected]) == (seeds, problems)


def test_page_that_a_text_was_taken_from_is_kept_where_it_is_a_text() -> None:
    urls = ["https://example.org/a", None, 7, " ", "\ud83d"]
    lines = [json.dumps({"content": "One.", "clarity": 1, "source_url": url}).encode() for url in urls]
    seeds, problems = read_lines(*lines)
    rows, _ = read_table("content,clarity,warmth,source_url\nOne.,1,0,https://example.org/b\nTwo.,1,,\n")

    assert (["https://example.org/a", None, None, None, None], []) == ([seed.source_url for seed in seeds], problems)
    assert ["https://example.org/b", "https://example.org/b", None] == [seed.source_url for seed in rows]


@pytest.mark.parametrize(
    ("walk", "content", "marks"),
    [
        (
            walk_jsonl,
            b'\xef\xbb\xbf{"content": "A.", "clarity": 1}\r\n\n{"content": "B.", "clarity": 1}',
            [(3, 1), (37, 3)],
        ),
        (walk_csv, b'content,clarity,warmth\n"\xc3\xa9\nA.",1,\n\nB.,1,', [(23, 2), (35, 5)]),
    ],
)
def test_walk_says_where_each_line_begins_and_goes_on_from_there(
    walk: Callable[..., Iterator[Line]], content: bytes, marks: list[tuple[int, int]]
) -> None:
    lines = list(walk("s", io.BytesIO(content), MAPPING))

    assert marks == [(line.position.offset, line.position.line) for line in lines]
    for number, line in enumerate(lines):
        assert lines[number:] == list(walk("s", io.BytesIO(content), MAPPING, line.position))
