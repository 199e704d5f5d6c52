"""A text file becomes passages, and headings are told apart; ordinary texts of all languages are alike in kind."""

import io

import pytest
from fakes.builders import make_trait

from engine.definitions.sources.labelled_lines import Line
from engine.definitions.sources.unlabelled import (
    ALLOWED,
    MAX_PASSAGE_BYTES,
    draw_ordinary,
    list_noise_languages,
    read_ordinary,
    walk_passages,
)
from engine.domain.model import Seed
from engine.errors import DefinitionError, Problem
from engine.text.language import detect_language
from engine.text.near_duplicates import find_pairs
from engine.text.words import count_words, ends_sentence

LANGUAGES = list_noise_languages()
SUBJECTS = list(dict.fromkeys(item.subject for item in read_ordinary("en")))
LABELS = ((make_trait(), 1.0), (make_trait("warmth"), 0.25))


def walk(text: str | bytes, by_line: bool = False, start: int = 1) -> list[Line]:
    content = text.encode() if isinstance(text, str) else text
    return list(walk_passages("a.txt", io.BytesIO(content), LABELS, by_line, start))


def list_texts(text: str, by_line: bool = False) -> list[str]:
    return [seed.text for line in walk(text, by_line) for seed in line.seeds if seed.trait == "clarity"]


def test_paragraph_is_a_passage_with_its_lines_joined_and_the_quality_of_each_label() -> None:
    one, two = walk("One line\nand another.\n\n\n  Second paragraph.  \n")

    assert [
        Seed("clarity", "One line and another.", 1.0, "a.txt:1"),
        Seed("warmth", "One line and another.", 0.25, "a.txt:1"),
        Seed("clarity", "Second paragraph.", 1.0, "a.txt:5"),
        Seed("warmth", "Second paragraph.", 0.25, "a.txt:5"),
    ] == [*one.seeds, *two.seeds]
    assert ["長い文は次の行に続く。"] == list_texts("長い文は\n次の行に続く。\n")
    assert ["긴 문장은 다음 줄로 이어진다."] == list_texts("긴 문장은\n다음 줄로 이어진다.\n")


@pytest.mark.parametrize("heading", ["x" * 80, "###### Install it.", "* * *", "1.", "第一章", "पहला अध्याय", "He said:"])
def test_heading_is_no_passage(heading: str) -> None:
    assert ["A sentence."] == list_texts(f"{heading}\n\n# Above\nA sentence.\n")


@pytest.mark.parametrize("text", ["One sentence.", "#fun is what we had.", "「はい。」", "हम आए।", "“Yes!”", "x" * 81])
def test_paragraph_of_one_line_is_no_heading_where_it_ends_a_sentence_or_is_long(text: str) -> None:
    assert [text] == list_texts(text)


@pytest.mark.parametrize("sentence", ["This is one of many. ", "この文は段落の中の一つの文である。"])
def test_long_paragraph_is_divided_at_the_ends_of_sentences(sentence: str) -> None:
    passages = list_texts(sentence * (7 * MAX_PASSAGE_BYTES // (2 * len(sentence.encode()))))

    assert 4 == len(passages)
    assert all(len(passage.encode()) <= MAX_PASSAGE_BYTES + len(sentence.encode()) for passage in passages)
    assert min(len(passage) for passage in passages) > max(len(passage) for passage in passages) / 2
    assert all(passage.endswith(sentence.strip()[-1]) for passage in passages)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_may_end_as_anywhere_and_a_byte_order_mark_and_blank_lines_are_no_text(end: str) -> None:
    text = f"\ufeffOne.{end}{end}# Two{end}three.{end}"

    assert [] == walk("  \n\t\n")
    assert ["One.", "three."] == list_texts(text)
    assert ["One.", "# Two", "three."] == list_texts(text, by_line=True)
    assert [1, 3] == [line.number for line in walk(text)]


def test_file_that_is_no_text_is_named_with_the_line_of_its_first_foreign_byte() -> None:
    with pytest.raises(DefinitionError) as refusal:
        walk("One.\n\nCafé.\n".encode("latin-1"))

    assert [Problem("a.txt", None, "file", "bytes that are not UTF-8", ALLOWED)] == list(refusal.value.problems)


@pytest.mark.parametrize("by_line", [False, True])
def test_walk_goes_on_from_where_a_passage_begins(by_line: bool) -> None:
    text = "\ufeffÉins.\nzwei.\n\nHeading\n\nDrei.\n\n\nVier.\n"
    lines = walk(text, by_line)

    assert ([1, 2, 4, 6, 9] if by_line else [1, 4, 6, 9]) == [line.number for line in lines]
    for number, line in enumerate(lines):
        assert lines[number:] == walk(text, by_line, line.number)


@pytest.mark.parametrize("code", LANGUAGES)
def test_texts_are_in_their_language_two_a_subject_and_of_several_lengths(code: str) -> None:
    assert {"en", "de", "hi", "ja"} <= set(LANGUAGES)
    texts = read_ordinary(code)
    words = [count_words(item.text) for item in texts]

    assert [subject for subject in SUBJECTS for _ in range(2)] == [item.subject for item in texts]
    assert code == detect_language([item.text for item in texts])
    assert all(ends_sentence(item.text) for item in texts)
    assert [] == find_pairs(item.text for item in texts)
    assert min(words) < 15
    assert max(words) > 25
    assert sorted({item.line for item in texts}) == [item.line for item in texts]


def test_one_of_each_subject_is_drawn_but_for_those_left_out() -> None:
    drawn = draw_ordinary(read_ordinary("en"), SUBJECTS[:2])

    assert SUBJECTS[2:] == [item.subject for item in drawn]
    assert min(count_words(item.text) for item in drawn) < 20 < max(count_words(item.text) for item in drawn)
