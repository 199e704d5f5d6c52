"""Reads authored samples: the lines of a JSONL or CSV file become seeds (the platform's contract, section 3)."""

import codecs
import csv
import io
import json
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Mapping, Set
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from typing import BinaryIO

from engine.definitions.mistakes import find_near_spelling, format_names, format_value
from engine.domain.model import SURROGATE, Seed, Trait
from engine.errors import DefinitionError, Problem
from engine.text.formatting import unquote_formulas
from engine.text.words import fold_name

CONTENT, TEXT = "content", "text"
SOURCE_URL = "source_url"
QUALITY_WORDS = {
    **dict.fromkeys(("positive", "good", "yes", "high", "strong", "excellent"), 1.0),
    **dict.fromkeys(("fair", "moderate", "mixed", "medium"), 0.5),
    **dict.fromkeys(("poor", "no", "low", "weak", "bad", "negative"), 0.0),
}
# Columns of the CSV that `exemplars export` and `suggest` write, in which formulas are quoted.
EXPORTED, SUGGESTED = "content_sha256", "_suggested"
ALLOWED_CSV = "a CSV file with a header row, saved as UTF-8 (in a spreadsheet: CSV UTF-8)"
FOREIGN = "bytes that are not UTF-8"
# What separates cells: a spreadsheet writes semicolons where numbers have a decimal comma.
SEPARATORS = ",;\t"
# So many lines of JSONL tell the names of its fields: not every line need have all.
LINES_WITH_FIELDS = 1_000

# Maps a field to the trait that it feeds; None for one that is already reported as unknown: its labels are not read.
Labels = Mapping[str, Trait | None]


@dataclass(frozen=True, slots=True)
class Line:
    """A line that is not blank, in CSV a row, in a text file a paragraph: its number, its seeds, and its mistakes.

    A paragraph may have neither, since a heading is no sample. ``final`` says that the mistake concerns the whole file,
    so that nothing after it can be read.
    """

    number: int
    seeds: tuple[Seed, ...] = ()
    problems: tuple[Problem, ...] = ()
    final: bool = False


@dataclass(slots=True)
class _Reading:
    """Collects the seeds and mistakes of the line that is being read; see ``walk_jsonl``."""

    name: str
    number: int
    mapping: Labels
    text_field: str
    needs_label: bool
    seeds: list[Seed] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def add(self, place: str, found: str, allowed: str, suggestion: str | None = None) -> None:
        self.problems.append(Problem(self.name, self.number, place, found, allowed, suggestion))

    def finish(self) -> Line:
        return Line(self.number, tuple(self.seeds), tuple(self.problems))


def walk_jsonl(
    name: str, stream: BinaryIO, mapping: Labels, start: int = 1, *, text_field: str = CONTENT, needs_label: bool = True
) -> Generator[Line, None, None]:
    """Yields the lines of a JSONL file one by one from that of the number ``start``; blank lines are skipped.

    Args:
        text_field: the field that holds the text.
        needs_label: whether a line without any label is a mistake; else it has neither seeds nor mistakes.
    """
    stream.seek(0)
    for number, raw in enumerate(stream, 1):
        line = raw.removeprefix(codecs.BOM_UTF8) if number == 1 else raw
        if number >= start and line.strip():
            yield _read_object(_Reading(name, number, mapping, text_field, needs_label), line.removesuffix(b"\n"))


def walk_csv(
    name: str, stream: BinaryIO, mapping: Labels, start: int = 1, *, text_field: str = CONTENT, needs_label: bool = True
) -> Generator[Line, None, None]:
    """Yields the rows of a CSV file one by one from that of the line ``start``; an empty cell labels nothing."""
    try:
        rows = walk_rows(name, stream)
        _, header = next(rows, (1, []))
        if problems := _check_header(name, header, (text_field, *mapping)):
            yield Line(1, problems=problems, final=True)
            return
        for number, row in rows:
            if number >= start:
                yield _read_row(_Reading(name, number, mapping, text_field, needs_label), header, row)
    except DefinitionError as error:
        yield Line(error.problems[0].line or 1, problems=error.problems, final=True)


def gather_lines(lines: Iterable[Line]) -> tuple[list[Seed], list[Problem], list[int]]:
    """Collects all seeds, all mistakes, and the numbers of lines with neither; after a final mistake that alone."""
    seeds: list[Seed] = []
    problems: list[Problem] = []
    empty: list[int] = []
    for line in lines:
        if line.final:
            return [], list(line.problems), []
        seeds += line.seeds
        problems += line.problems
        if not line.seeds and not line.problems:
            empty.append(line.number)
    return seeds, problems, empty


def read_fields(stream: BinaryIO, is_csv: bool) -> list[str]:
    """Reads the field names of a file, from CSV's header or the first JSON objects; none if it has neither."""
    if is_csv:
        try:
            return next(walk_rows("", stream), (1, []))[1]
        except DefinitionError:
            return []
    stream.seek(0)
    fields: dict[str, None] = {}
    for raw in islice(filter(bytes.strip, stream), LINES_WITH_FIELDS):
        with suppress(ValueError, RecursionError):
            entry = json.loads(raw.decode("utf-8-sig"))
            fields |= dict.fromkeys(entry if isinstance(entry, dict) else ())
    return list(fields)


def parse_quality(value: object, trait: Trait) -> float | None:
    """Parses a quality in [0, 1] from a number, a pole label or a quality word; None if it is none of these.

    JSON and CSV mean the same: 1 and "1", true and "true". Of a trait with a label that is a quality word of something
    else ("Low" as the positive one), no quality word counts but its labels.
    """
    if not isinstance(value, str | int | float):
        return None
    word, known = fold_name(str(value)), _name_qualities(trait)
    number = known[word] if word in known else parse_number(word)
    return number if number is not None and 0 <= number <= 1 else None


def parse_number(word: str) -> float | None:
    """Parses what reads as a number in any script, with a decimal comma too; None if it is none."""
    try:
        return float(fold_name(word).replace(",", "."))
    except ValueError:
        return None


def list_qualities(trait: Trait) -> str:
    """Lists for a message what ``parse_quality`` takes."""
    words = ", or a word like good, mixed or poor" if "good" in _name_qualities(trait) else ""
    return f"{trait.positive_label!r}, {trait.negative_label!r}, a number in [0, 1]{words}"


@contextmanager
def opening_text(stream: BinaryIO) -> Iterator[io.TextIOWrapper]:
    """The text of a file from its beginning, with the ends of its lines; a lone carriage return is one too."""
    stream.seek(0)
    text = io.TextIOWrapper(stream, "utf-8-sig", newline="")
    try:
        yield text
    finally:
        text.detach()


def walk_rows(name: str, stream: BinaryIO, column: str = TEXT) -> Generator[tuple[int, list[str]], None, None]:
    """Yields the rows that are not empty, each with the number of its first line: a quoted cell may span several.

    Args:
        column: one that the header may have besides ``content``, by which it is found what separates the cells.

    Raises:
        DefinitionError: the file is not CSV, or not UTF-8.
    """
    with opening_text(stream) as text:
        number = 1
        try:
            separator = _find_separator(text, {CONTENT, column})
            text.seek(0)
            reader = csv.reader(text, delimiter=separator, strict=True)
            for row in reader:
                if row:
                    yield number, row
                number = reader.line_num + 1
        except csv.Error as error:
            raise DefinitionError.of_file(name, str(error), ALLOWED_CSV, number) from None
        except UnicodeDecodeError:
            raise DefinitionError.of_file(name, FOREIGN, ALLOWED_CSV) from None


def _find_separator(text: io.TextIOWrapper, columns: Set[str]) -> str:
    """Finds what separates the cells of a file whose header names one of the columns; a comma if nothing else does."""
    header = text.readline()
    for separator in SEPARATORS[1:]:
        cells = next(csv.reader([header], delimiter=separator), [])
        if len(cells) > 1 and columns & {*cells}:
            return separator
    return SEPARATORS[0]


@lru_cache(maxsize=256)
def _name_qualities(trait: Trait) -> Mapping[str, float]:
    """The words that name a quality of a trait, folded."""
    own = {fold_name(trait.negative_label): 0.0, fold_name(trait.positive_label): 1.0}
    is_turned = any(QUALITY_WORDS.get(label, quality) != quality for label, quality in own.items())
    return own if is_turned else QUALITY_WORDS | own


def _check_header(name: str, header: list[str], needed: Iterable[str]) -> tuple[Problem, ...]:
    twice = [column for column, times in Counter(header).items() if times > 1 and column.strip()]
    problems = [Problem(name, 1, "header", f"{column!r} a second time", "each column once") for column in twice]
    for column in needed:
        if column not in header:
            found, allowed = format_names(header) or "nothing", f"a column {column!r}"
            problems.append(Problem(name, 1, "header", found, allowed, find_near_spelling(column, header)))
    return tuple(problems)


def _read_object(reading: _Reading, raw: bytes) -> Line:
    try:
        entry = json.loads(raw.decode())
    except (ValueError, RecursionError) as error:
        shown = repr(raw[:40].decode(errors="replace"))
        if isinstance(error, json.JSONDecodeError):
            shown += f" ({error.msg.lower()} at character {error.colno:,})"
        reading.add("line", shown, "one JSON object a line")
    else:
        if isinstance(entry, dict):
            _read_entry(reading, entry)
        else:
            reading.add("line", type(entry).__name__, "one JSON object a line")
    return reading.finish()


def _read_row(reading: _Reading, header: list[str], row: list[str]) -> Line:
    if len(row) > len(header):
        reading.add("line", f"{len(row)} cells", f"{len(header)}, as in the header; quote a comma")
    else:
        is_ours = any(name == EXPORTED or name.endswith(SUGGESTED) for name in header)
        cells = map(unquote_formulas, row) if is_ours else row
        _read_entry(reading, {key: cell for key, cell in zip(header, cells, strict=False) if cell.strip()})
    return reading.finish()


def _read_entry(reading: _Reading, entry: Mapping[str, object]) -> None:
    labels = {name: value for name, value in entry.items() if name in reading.mapping and value not in (None, "")}
    if not labels and not reading.needs_label:
        return
    text = entry.get(reading.text_field)
    if not isinstance(text, str) or not text.strip():
        others = [] if reading.text_field in entry else [name for name in entry if name not in reading.mapping]
        found = f"nothing, but {format_names(others)}" if others else format_value(text)
        reading.add(reading.text_field, found, "a text that is not empty")
        return
    if SURROGATE.search(text):
        reading.add(reading.text_field, "half of a surrogate pair", "whole Unicode characters")
        return
    if not labels:
        others = [name for name in entry if name != reading.text_field]
        hint = next(filter(None, (find_near_spelling(name, reading.mapping) for name in others)), None)
        found = f"no label ({format_names(others) or 'no other field'})"
        reading.add("line", found, f"a label in {format_names(reading.mapping)}", hint)
    url = entry.get(SOURCE_URL)
    source_url = url if isinstance(url, str) and url.strip() and not SURROGATE.search(url) else None
    place = f"{reading.name}:{reading.number}"
    for name, value in labels.items():
        trait = reading.mapping[name]
        if trait is None:
            continue
        quality = parse_quality(value, trait)
        if quality is None:
            words = [*_name_qualities(trait), trait.positive_label, trait.negative_label]
            hint = find_near_spelling(value, words) if isinstance(value, str) else None
            reading.add(name, format_value(value), list_qualities(trait), hint)
        else:
            reading.seeds.append(Seed(trait.key, text.strip(), quality, place, source_url))
