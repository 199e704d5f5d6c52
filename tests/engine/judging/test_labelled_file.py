"""Texts that a user has labelled are read as sources are; where there are no labels, it says where they may stand."""

import io
from collections.abc import Callable
from typing import BinaryIO

import pytest
from fakes.builders import make_trait

from engine.definitions.outline import Outline
from engine.definitions.sources.entries import Source
from engine.domain.model import Trait
from engine.errors import DefinitionError, InputError
from engine.judging.labelled_file import MOST_MISTAKES, read_labelled

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
    return [(seed.text, seed.trait, seed.quality) for seed in read_labelled(name, raw, OUTLINE, only)]


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
    assert [] == read("a.jsonl", "\n", stream=stream) == read("a.csv", "content,clarity\n", stream=stream)


def test_labels_of_the_one_trait_that_is_meant_stand_in_its_own_field_or_a_plain_one() -> None:
    for name, content, field in (
        ("a.csv", "content,quality\nOne.,safe\n", "quality"),
        ("a.jsonl", '{"content": "One.", "label": "Safe"}', "label"),
    ):
        assert [("One.", "safety", 1.0)] == read(name, content, SAFETY)
        with pytest.raises(DefinitionError, match=rf"found content, {field}; allowed: .*clarity, safety, .*--trait"):
            read(name, content)
    assert [("One.", "safety", 0.0)] == read("a.csv", "content,label,safety\nOne.,good,Risky\n", SAFETY)
    assert [("Two.", "safety", 0.5)] == read("a.csv", TABLE.replace("Clear", "Cleer"), SAFETY)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", "content,stars\nOne.,1\n", "a.csv:1: fields: found content, stars; allowed: labels for u22a8.test"),
        ("a.csv", "content,clarty\nOne.,1\n", "Did you mean 'clarity'"),
        ("a.csv", "text,clarity\nOne.,1\n", "a.csv:1: header: found text, clarity; allowed: a column 'content'"),
        ("a.csv", "content,clarity\nOne.,Cleer\n", "^a.csv: .*\n.*a.csv:2: clarity: found 'Cleer'; .* mean 'Clear'"),
        ("a.jsonl", "[1]\n", "a.jsonl:1: line: found list; allowed: one JSON object a line"),
        ("a.csv.gz", TABLE, r"^a.csv.gz: labelled texts are read from CSV .* and JSONL"),
    ],
)
def test_mistake_is_named_with_its_line_and_another_form_refused(name: str, content: str, said: str) -> None:
    with pytest.raises(InputError if name.endswith("gz") else DefinitionError, match=said):
        read(name, content)


def test_of_many_mistakes_the_first_are_told() -> None:
    with pytest.raises(DefinitionError, match=r"^a\.csv, of 1,000 the first: 20 mistakes\.") as caught:
        read("a.csv", "content,clarity\n" + "One.,Cleer\n" * 1000)

    assert MOST_MISTAKES == len(caught.value.problems)
