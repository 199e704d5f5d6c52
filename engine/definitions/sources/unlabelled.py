"""Read texts without labels of their own, which all get the labels of their source: passages and ordinary texts.

Ordinary texts are files of ``data/noise/`` and lie outside most topics: the seeds of a ``noise`` source.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import BinaryIO

import regex

from engine.definitions.mistakes import validate_document
from engine.definitions.sources.labelled_lines import Line
from engine.definitions.sources.tables import opening_text
from engine.definitions.yaml_document import parse_yaml
from engine.domain.definition import Trait
from engine.domain.model import Seed
from engine.settings import SHIPPED_ROOT

NOISE_PATH = "data/noise"
NOISE_FOLDER = SHIPPED_ROOT / NOISE_PATH

# A single line of at most this length without a final punctuation mark is a heading.
MAX_HEADING_CHARACTERS = 80
# A longer paragraph is split between sentences. In bytes of UTF-8, since a Chinese character carries as much meaning as
# three letters: about 200 words of English, 240 of Japanese, 90 of Hindi.
MAX_PASSAGE_BYTES = 1200
ALLOWED = "a UTF-8 text file; of another document give its text, such as a PDF's in a .txt"
# Characters that may follow the final punctuation mark of a sentence.
_CLOSING = r"[\p{Pe}\p{Pf}\p{Pi}\"'”’]"
_END = regex.compile(rf"[\p{{Sentence_Terminal}}…]{_CLOSING}*\Z")
_BREAK = regex.compile(
    rf"(?V1)(?<=[\p{{Sentence_Terminal}}…]{_CLOSING}{{0,8}})\s+|(?<=[。！？]{_CLOSING}{{0,8}})(?!{_CLOSING}|[。！？\s]|\Z)"
)
_HEADING = regex.compile(r"#{1,6}\s")
_FIRST_DENSE = "\u2e80"
_FIRST_HANGUL, _LAST_HANGUL = "\uac00", "\ud7a3"

# A trait, and the quality of all texts of a source for it.
FixedLabel = tuple[Trait, float]


@dataclass(frozen=True, slots=True)
class OrdinaryText:
    """An ordinary text that comes with the code; ``line`` is its line number in the file."""

    line: int
    subject: str
    text: str


def walk_passages(
    name: str, stream: BinaryIO, labels: Sequence[FixedLabel], by_line: bool, start: int = 1
) -> Iterator[Line]:
    """Yield the paragraphs or lines of a text file from line number ``start``.

    A long paragraph is split into several passages. A heading or a paragraph without letters is yielded without seeds.

    Args:
        by_line: whether every line is a passage, even a heading or one without letters.

    Raises:
        DefinitionError: the file is not UTF-8.
    """
    with opening_text(name, stream, ALLOWED) as lines:
        for number, block in _walk_blocks(lines, by_line):
            if number >= start:
                yield label_texts(name, number, block if by_line else _list_passages(block), labels)


def list_noise_languages() -> list[str]:
    """Return the languages with ordinary texts: sorted codes of ISO 639."""
    return sorted(path.stem for path in NOISE_FOLDER.glob("*.yaml"))


@cache
def read_ordinary(code: str) -> tuple[OrdinaryText, ...]:
    """Read the ordinary texts of a language in ``list_noise_languages``, in the order of their lines."""
    name = name_noise_file(code)
    document = parse_yaml(name, (NOISE_FOLDER / f"{code}.yaml").read_bytes())
    subjects, _ = validate_document(document, dict[str, tuple[str, ...]])
    return tuple(
        OrdinaryText(document.line((subject, index)) or 1, subject, text)
        for subject, texts in subjects.items()
        for index, text in enumerate(texts)
    )


def name_noise_file(code: str) -> str:
    """Return the path of a language's ordinary texts for messages and places."""
    return f"{NOISE_PATH}/{code}.yaml"


def draw_ordinary(texts: Sequence[OrdinaryText], without: Collection[str]) -> tuple[OrdinaryText, ...]:
    """Return the first text of each subject not in ``without``, in the order of their lines."""
    first = {item.subject: item for item in reversed(texts)}
    return tuple(item for item in texts if item is first[item.subject] and item.subject not in without)


def label_texts(name: str, number: int, texts: Sequence[str], labels: Sequence[FixedLabel]) -> Line:
    """Return a line with a seed for each text and label."""
    place = f"{name}:{number}"
    return Line(number, tuple(Seed(trait.key, text, quality, place) for text in texts for trait, quality in labels))


def _walk_blocks(lines: Iterable[str], by_line: bool) -> Iterator[tuple[int, list[str]]]:
    """Yield runs of stripped lines that are not blank, each with the number of its first line."""
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
    # The fewest parts of about equal size, so that the last is not a single sentence.
    return _pack(_BREAK.split(text), size / -(-size // MAX_PASSAGE_BYTES))


def _join_lines(lines: Sequence[str]) -> str:
    text = ""
    for line in lines:
        is_joined = not text or (_is_spaceless(text[-1]) and _is_spaceless(line[0]))
        text += line if is_joined else f" {line}"
    return text


def _is_spaceless(character: str) -> bool:
    return character >= _FIRST_DENSE and not _FIRST_HANGUL <= character <= _LAST_HANGUL


def _pack(sentences: Sequence[str], target_bytes: float) -> list[str]:
    """Pack sentences into passages of about ``target_bytes``; each ends with the sentence that reaches its share."""
    passages: list[list[str]] = [[]]
    used = 0
    for sentence in sentences:
        if used >= target_bytes * len(passages) and passages[-1]:
            passages.append([])
        passages[-1].append(sentence)
        used += len(sentence.encode())
    return [_join_lines(part) for part in passages if part]
