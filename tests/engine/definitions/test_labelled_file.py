"""A file of labelled texts, as people and spreadsheets write it: its labels, and every mistake with its line."""

import io
import re
from collections.abc import Callable
from typing import BinaryIO

import pyarrow as pa
import pytest
from fakes.builders import make_parquet, make_trait

from engine.definitions.labelled_file import MOST_MISTAKES, read_labelled
from engine.definitions.outline import Outline
from engine.definitions.sources.entries import Source
from engine.domain.definition import Trait
from engine.errors import DefinitionError, InputError

CLARITY, SAFETY = make_trait(), make_trait("safety", positive_label="Safe", negative_label="Risky")
SOURCE = Source("csv", "a.csv", "a.csv", {"plain": CLARITY, "lost": None}, ("model.yaml", 1, "path"))
OUTLINE = Outline("u22a8.test", (CLARITY, SAFETY), sources=(SOURCE,))
BOTH = [("One.", "clarity", 1.0), ("Two.", "clarity", 0.0), ("Two.", "safety", 0.5)]


class Pipe(io.BytesIO):
    """A stream without a way back."""

    def seekable(self) -> bool:
        return False

    def seek(self, *_: int) -> int:
        raise io.UnsupportedOperation


def read(
    name: str, content: str, only: Trait | None = None, stream: Callable[[bytes], BinaryIO] = io.BytesIO
) -> list[tuple[str, str, float]]:
    raw = stream(content.encode("utf-8", "surrogateescape"))
    return [(seed.text, seed.trait, seed.quality) for seed in read_labelled(name, raw, OUTLINE, only).seeds]


TABLE = "content,clarity,safety\nOne.,Clear,\nTwo.,obscure,0.5\n"
LINES = '{"content": "One.", "clarity": 1}\n\n{"content": "Two.", "clarity": "no", "safety": "fair"}\n'


@pytest.mark.parametrize("stream", [io.BytesIO, Pipe])
def test_labels_of_all_traits_are_read(stream: Callable[[bytes], BinaryIO]) -> None:
    for name, content in (
        ("a.CSV", TABLE.replace("\n", "\r\n")),
        ("a.csv", TABLE.replace("clarity", "plain")),
        ("a.ndjson", "\ufeff" + LINES.replace("\n", "\r\n")),
        ("a", "\n" + LINES),
        ("-", TABLE),
    ):
        assert (name, BOTH) == (name, read(name, content, stream=stream))
    for name, content in (("a.jsonl", "\n"), ("a.csv", "content,clarity\n"), ("a.csv", "content,clarity\nOne.,\n")):
        with pytest.raises(
            InputError, match=f"^{name} has no labelled texts(: no line has a label in [a-z, ]+)?\\. Write one"
        ):
            read(name, content, stream=stream)


def test_labels_of_the_one_trait_that_is_meant_stand_in_its_own_field_or_a_plain_one() -> None:
    for name, content, field in (
        ("a.csv", "content,quality\nOne.,safe\n", "quality"),
        ("a.jsonl", '{"content": "One.", "label": "Safe"}', "label"),
    ):
        assert [("One.", "safety", 1.0)] == read(name, content, SAFETY)
        with pytest.raises(
            DefinitionError, match=rf"found content, {field}; allowed: .*clarity, safety, .* where one trait is meant"
        ):
            read(name, content)
    assert [("One.", "safety", 0.0)] == read("a.csv", "content,label,safety\nOne.,good,Risky\n", SAFETY)
    assert [("Two.", "safety", 0.5)] == read("a.csv", TABLE.replace("Clear", "Cleer"), SAFETY)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", "content,stars\nOne.,1\n", "a.csv:1: fields: found content, stars; allowed: labels for u22a8.test"),
        ("a.csv", "content,clarty\nOne.,1\n", "Did you mean 'clarity'"),
        ("a.csv", "txt,clarity\nOne.,1\n", "a.csv:1: header: found txt, clarity; allowed: a column 'content'"),
        ("a.csv", "content,clarity\nOne.,Cleer\n", "^a.csv: .*\n.*a.csv:2: clarity: found 'Cleer'; .* mean 'Clear'"),
        ("a.jsonl", "[1]\n", "a.jsonl:1: line: found list; allowed: one JSON object a line"),
        ("a.csv.gz", TABLE, r"^a.csv.gz: labelled texts are read from CSV .* and Parquet"),
    ],
)
def test_mistake_is_named_with_its_line_and_another_form_refused(name: str, content: str, said: str) -> None:
    with pytest.raises(InputError if name.endswith("gz") else DefinitionError, match=said):
        read(name, content)


@pytest.mark.parametrize("stream", [io.BytesIO, Pipe])
@pytest.mark.parametrize("name", ["a.parquet", "-"])
def test_parquet_is_read_with_the_numbers_of_its_rows(name: str, stream: Callable[[bytes], BinaryIO]) -> None:
    labels = pa.array(["Clear", "obscure", None]).dictionary_encode()
    columns = {"content": [b"One.", b"Two.", b"Three."], "clarity": labels, "safety": [None, 0.5, None], "n": [1, 2, 3]}
    found = read_labelled(name, stream(make_parquet(columns)), OUTLINE)

    assert BOTH == [(seed.text, seed.trait, seed.quality) for seed in found.seeds]
    assert ([f"{name}:{row}" for row in (1, 2, 2)], 1) == ([seed.place for seed in found.seeds], found.unlabelled)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"PAR1 and no more", "a.parquet: file: found Parquet magic bytes not found"),
        (make_parquet({"txt": ["One."], "clarity": ["Clear"]}), "header: found txt, clarity; allowed: a column 'cont"),
        (make_parquet({"content": ["One."], "stars": [1]}), "found content, stars; allowed: labels for u22a8.test"),
        (make_parquet({"content": ["One.", "Two."], "clarity": [1, 7]}), "a.parquet:2: clarity: found 7"),
        (make_parquet({"content": [1], "clarity": [1]}), "a.parquet:1: content: found 1; allowed: a text"),
        (make_parquet({"content": [b"\xff"], "clarity": [1]}), "a.parquet: file: found Invalid UTF8"),
    ],
)
def test_mistake_of_a_parquet_file_is_named_with_its_row(content: bytes, said: str) -> None:
    with pytest.raises(DefinitionError, match=re.escape(said)):
        read_labelled("a.parquet", io.BytesIO(content), OUTLINE)


def test_of_many_mistakes_the_first_are_told() -> None:
    with pytest.raises(DefinitionError, match=r"^a\.csv, up to line 21: 20 mistakes\.") as caught:
        read("a.csv", "content,clarity\n" + "One.,Cleer\n" * 1000)

    assert MOST_MISTAKES == len(caught.value.problems)


# What LibreOffice writes on a German machine, Excel as "CSV UTF-8", and a text file with tabs.
SPREADSHEETS = (
    '\ufeff"id";"text";"clarity";"clarity_suggested";"safety"\r\n7;"Größe; ""neu""\r\nwählen.";"Clear";"";"0,5"\r\n',
    '\ufefftext;clarity;note;safety\r\n"Größe; ""neu""\r\nwählen.";good;;0.5\r\n;;;\r\n',
    'text\tclarity\tsafety\n"Größe; ""neu""\r\nwählen."\tclear\tfair\n',
)


@pytest.mark.parametrize("content", SPREADSHEETS)
def test_tables_are_read_as_spreadsheets_write_them(content: str) -> None:
    text = 'Größe; "neu"\r\nwählen.'

    assert [(text, "clarity", 1.0), (text, "safety", 0.5)] == read("a.csv", content)


@pytest.mark.parametrize("text", ["यह सरल है।", "設定を保存します。", "احفظ الملف.", "Ça marche, là ?", "👍🏽 1,5 €"])
def test_text_of_any_language_is_kept_as_it_is(text: str) -> None:
    assert [(text, "clarity", 1.0)] == read("a.csv", f"\ufefftext;clarity\r\n{text};Clear\r\n")


def test_lines_without_a_label_are_counted_and_the_first_may_be_one() -> None:
    table = "id,content,clarity,clarity_suggested\n1,One.,,Clear\n2,Two.,Clear,\n3,,,\n"
    lines = '{"text": "One."}\n{"text": "Two.", "clarity": 1}\n{"text": "Three.", "clarity": null}\n{"clarity": ""}\n'
    for name, content, unlabelled in (("a.csv", table, 2), ("a.jsonl", lines, 3)):
        found = read_labelled(name, io.BytesIO(content.encode()), OUTLINE)

        assert (["Two."], unlabelled) == ([seed.text for seed in found.seeds], found.unlabelled)


def test_what_is_no_table_is_refused_after_few_of_its_lines() -> None:
    class Endless(io.BytesIO):
        lines = 0

        def __next__(self) -> bytes:
            self.lines += 1
            return b"garbage\n"

    endless = Endless(b"garbage\n")
    with pytest.raises(DefinitionError, match=r"^a\.jsonl, up to line 20: 20 mistakes\."):
        read_labelled("a.jsonl", endless, OUTLINE)
    # Its fields are looked for in the first thousand.
    assert endless.lines < 1_100
    with pytest.raises(DefinitionError, match=r"up to line .*: 20 mistakes"):
        read("a.csv", "text;clarity\n" + "garbage;rubbish\n" * 1_000_000)
