"""Splits a text file into passages, which become seeds: all of them have the qualities that ``mapping`` says."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

import regex

from engine.definitions.sources.labelled_lines import Line, find_foreign_byte, opening_text
from engine.domain.model import Seed, Trait

# A line that stands alone and is no longer than this, without a mark that ends a sentence, is a heading.
MAX_HEADING_CHARACTERS = 80
# A longer paragraph is divided at the ends of sentences. In bytes of UTF-8, since a character of Chinese says as much
# as three letters: some 200 words of English, 240 of Japanese, 90 of Hindi.
MAX_PASSAGE_BYTES = 1200
ALLOWED = "a UTF-8 text file; of another document give its text, such as a PDF's in a .txt"
# What may stand behind the mark that ends a sentence.
_CLOSING = r"[\p{Pe}\p{Pf}\p{Pi}\"'”’]"
_END = regex.compile(rf"[\p{{Sentence_Terminal}}…]{_CLOSING}*\Z")
_BREAK = regex.compile(
    rf"(?V1)(?<=[\p{{Sentence_Terminal}}…]{_CLOSING}{{0,8}})\s+|(?<=[。！？]{_CLOSING}{{0,8}})(?!{_CLOSING}|[。！？\s]|\Z)"
)
_HEADING = regex.compile(r"#{1,6}\s")
_FIRST_DENSE = "\u2e80"
_FIRST_HANGUL, _LAST_HANGUL = "\uac00", "\ud7a3"


@dataclass(frozen=True, slots=True)
class FixedLabel:
    """A quality that all texts of a source have for a trait."""

    trait: Trait
    quality: float


def walk_passages(
    name: str, stream: BinaryIO, labels: Sequence[FixedLabel], by_line: bool, start: int = 1
) -> Iterator[Line]:
    """Yields the paragraphs of a text file, or its lines, one by one from that of the line ``start``.

    A long paragraph is several passages. One that is a heading, or has no letters, is yielded without seeds.

    Args:
        by_line: whether every line is a passage of its own, whatever it is.
    """
    try:
        with opening_text(stream) as lines:
            for number, block in _walk_blocks(lines, by_line):
                if number >= start:
                    texts = block if by_line else _list_passages(block)
                    place = f"{name}:{number}"
                    seeds = [Seed(label.trait.key, text, label.quality, place) for text in texts for label in labels]
                    yield Line(number, tuple(seeds))
    except UnicodeDecodeError:
        problem = find_foreign_byte(name, stream, ALLOWED)
        yield Line(problem.line or 1, problems=(problem,), final=True)


def _walk_blocks(lines: Iterable[str], by_line: bool) -> Iterator[tuple[int, list[str]]]:
    """Yields runs of lines that are not blank with the numbers of their first, without the space around each line."""
    block: list[str] = []
    number = 0
    for number, line in enumerate(lines, 1):
        if text := line.strip().replace("\0", ""):
            block.append(text)
        if block and (by_line or not text):
            yield number - len(block) + bool(text), block
            block = []
    if block:
        yield number - len(block) + 1, block


def _list_passages(lines: Sequence[str]) -> list[str]:
    text = _join_lines([line for line in lines if not _HEADING.match(line)])
    is_heading = len(lines) == 1 and len(text) <= MAX_HEADING_CHARACTERS and not _END.search(text)
    if is_heading or not any(map(str.isalpha, text)):
        return []
    size = len(text.encode())
    if size <= MAX_PASSAGE_BYTES:
        return [text]
    # As many parts as are needed, of about equal size, so that the last is not a sentence alone.
    return _pack(_BREAK.split(text), size / -(-size // MAX_PASSAGE_BYTES))


def _join_lines(lines: Sequence[str]) -> str:
    """Joins the lines of a paragraph by spaces, or by nothing where the script has none."""
    text = ""
    for line in lines:
        is_joined = not text or (_is_spaceless(text[-1]) and _is_spaceless(line[0]))
        text += line if is_joined else f" {line}"
    return text


def _is_spaceless(character: str) -> bool:
    return character >= _FIRST_DENSE and not _FIRST_HANGUL <= character <= _LAST_HANGUL


def _pack(sentences: Sequence[str], target_bytes: float) -> list[str]:
    """Packs sentences into passages; each ends with the sentence that reaches its share of the whole."""
    passages: list[list[str]] = [[]]
    used = 0
    for sentence in sentences:
        if used >= target_bytes * len(passages) and passages[-1]:
            passages.append([])
        passages[-1].append(sentence)
        used += len(sentence.encode())
    return [_join_lines(part) for part in passages if part]
