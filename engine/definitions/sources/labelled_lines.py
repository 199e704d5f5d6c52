"""Read authored samples: turn the lines of a JSONL or CSV file into seeds (the platform's contract, section 3)."""

import csv
import io
import json
import math
import re
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import islice
from typing import TYPE_CHECKING, BinaryIO

from engine.definitions.mistakes import find_near_spelling, format_names, format_value
from engine.domain.characters import INVALID, INVALID_CHARACTER, VALID
from engine.domain.definition import Trait
from engine.domain.model import Seed
from engine.errors import DefinitionError, Problem
from engine.text.formatting import unquote_formulas
from engine.text.words import fold_name

if TYPE_CHECKING:
    import _csv

CONTENT, TEXT = "content", "text"
SOURCE_URL = "source_url"
QUALITY_WORDS = {
    **dict.fromkeys(("positive", "good", "yes", "high", "strong", "excellent"), 1.0),
    **dict.fromkeys(("fair", "moderate", "mixed", "medium"), 0.5),
    **dict.fromkeys(("poor", "no", "low", "weak", "bad", "negative"), 0.0),
}
# Columns that mark a CSV as written by `exemplars export` or `suggest`, which quote formulas.
EXPORTED, SUGGESTED = "content_sha256", "_suggested"
ALLOWED_CSV = "a CSV file with a header row, saved as UTF-8 (in a spreadsheet: CSV UTF-8)"
ALLOWED_CELL = "a shorter text. If the text is short, close the quotation mark that opens its cell"
# Cell separators; the last is the default. Spreadsheets write semicolons in locales with a decimal comma.
SEPARATORS = ";\t,"
# A line before the header that Excel reads and some programs write.
_DECLARATION = re.compile(r'"?sep=([^\w\s"]|\t)"?[\r\n]*', re.IGNORECASE)
# Lines of JSONL that are searched for field names, since a line may lack some fields.
LINES_WITH_FIELDS = 1_000
ONE_OBJECT = "one JSON object a line"

# Values of a line by field, or the line's mistake.
Entry = Mapping[str, object] | Problem
# Trait of each field. Labels of a field with None are ignored: its trait is already reported as unknown.
Labels = Mapping[str, Trait | None]


@dataclass(frozen=True, slots=True)
class Line:
    """Number, seeds and mistakes of a line that is not blank; a row in CSV, a paragraph in a text file.

    A paragraph may have neither seeds nor mistakes, since a heading is no sample.
    """

    number: int
    seeds: tuple[Seed, ...] = ()
    problems: tuple[Problem, ...] = ()


def walk_labelled(
    name: str,
    stream: BinaryIO,
    is_csv: bool,
    mapping: Labels,
    start: int = 1,
    *,
    text_field: str = CONTENT,
    needs_label: bool = True,
) -> Generator[Line, None, None]:
    """Yield the lines of a CSV or JSONL file from line number ``start``.

    Args:
        text_field: the field that holds the text.
        needs_label: whether a line without a label is a mistake. If not, it has neither seeds nor mistakes.

    Raises:
        DefinitionError: as ``walk_rows``.
    """
    entries = walk_rows(name, stream, [text_field, *mapping]) if is_csv else walk_objects(name, stream)
    for number, entry in entries:
        if number >= start:
            yield _read_line(name, mapping, text_field, needs_label, number, entry)


def gather_lines(lines: Iterable[Line], most_mistakes: float = math.inf) -> tuple[list[Seed], list[Problem], list[int]]:
    """Return all seeds, all mistakes, and the numbers of lines with neither; only the mistake if reading fails.

    Args:
        most_mistakes: reading stops after more mistakes, since a file that is no table may have a million.
    """
    seeds: list[Seed] = []
    problems: list[Problem] = []
    empty: list[int] = []
    try:
        for line in lines:
            seeds += line.seeds
            problems += line.problems
            if not line.seeds and not line.problems:
                empty.append(line.number)
            if len(problems) > most_mistakes:
                break
    except DefinitionError as error:
        return [], list(error.problems), []
    return seeds, problems, empty


def read_fields(stream: BinaryIO, is_csv: bool) -> list[str]:
    """Return the field names of a file from the CSV header or the first JSON objects; empty if it has neither."""
    if is_csv:
        with suppress(csv.Error, DefinitionError), opening_text("", stream, "") as text:
            return next(filter(None, _open_csv(text, {CONTENT, TEXT})), [])
        return []
    entries = (entry for _, entry in islice(walk_objects("", stream), LINES_WITH_FIELDS))
    return list(dict.fromkeys(name for entry in entries if not isinstance(entry, Problem) for name in entry))


def parse_quality(value: object, trait: Trait) -> float | None:
    """Parse a quality in [0, 1] from a number, a pole label or a quality word; None for any other value.

    JSON and CSV values are equivalent: 1 and "1", true and "true". If a trait's label is a quality word with another
    quality ("Low" as the positive label), only its labels count, and no quality words.
    """
    if not isinstance(value, str | int | float):
        return None
    word, known = fold_name(str(value)), _name_qualities(trait)
    number = known[word] if word in known else parse_number(word)
    return number if number is not None and 0 <= number <= 1 else None


def parse_number(word: str) -> float | None:
    """Parse a number in any script, also with a decimal comma; None if the word is not a number."""
    try:
        return float(fold_name(word).replace(",", "."))
    except ValueError:
        return None


def list_qualities(trait: Trait) -> str:
    """Return the values that ``parse_quality`` accepts, for a message."""
    words = ", or a word like good, mixed or poor" if "good" in _name_qualities(trait) else ""
    return f"{trait.positive_label!r}, {trait.negative_label!r}, a number in [0, 1]{words}"


@contextmanager
def opening_text(name: str, stream: BinaryIO, allowed: str) -> Iterator[io.TextIOWrapper]:
    """Yield the text of a UTF-8 file from its beginning, line ends included; a lone carriage return is a line end."""
    stream.seek(0)
    text = io.TextIOWrapper(stream, "utf-8-sig", newline="")
    try:
        yield text
    except UnicodeDecodeError:
        raise DefinitionError.of_file(name, "bytes that are not UTF-8", allowed) from None
    finally:
        text.detach()


def walk_objects(name: str, stream: BinaryIO) -> Generator[tuple[int, Entry], None, None]:
    """Yield the objects of a JSONL file, each with its line number; skip blank lines."""
    stream.seek(0)
    for number, raw in enumerate(stream, 1):
        if not raw.strip():
            continue
        try:
            entry = json.loads(raw.decode("utf-8-sig"))
        except (ValueError, RecursionError) as error:
            shown = repr(raw[:40].decode(errors="replace").removesuffix("\n"))
            if isinstance(error, json.JSONDecodeError):
                shown += f" ({error.msg.lower()} at character {error.colno:,})"
            yield number, Problem(name, number, "line", shown, ONE_OBJECT)
        else:
            is_object = isinstance(entry, dict)
            yield number, entry if is_object else Problem(name, number, "line", type(entry).__name__, ONE_OBJECT)


def walk_rows(name: str, stream: BinaryIO, needed: Collection[str]) -> Generator[tuple[int, Entry], None, None]:
    """Yield the rows of a CSV file, each with the number of its first line, without empty rows and cells.

    Args:
        needed: columns that the header must contain; they also decide which character separates the cells.

    Raises:
        DefinitionError: the file is not CSV or not UTF-8, or its header lacks a needed column or repeats it.
    """
    with opening_text(name, stream, ALLOWED_CSV) as text:
        number = 1
        try:
            reader = _open_csv(text, needed)
            header = next(filter(None, reader), [])
            if problems := _check_header(name, max(1, reader.line_num), header, needed):
                raise DefinitionError(name, problems)
            has_quoted_formulas = any(column == EXPORTED or column.endswith(SUGGESTED) for column in header)
            number = reader.line_num + 1
            for row in reader:
                if len(row) > len(header):
                    allowed = f"{len(header)}, as in the header; quote a comma"
                    yield number, Problem(name, number, "line", f"{len(row)} cells", allowed)
                elif row:
                    cells = map(unquote_formulas, row) if has_quoted_formulas else row
                    yield number, {key: cell for key, cell in zip(header, cells, strict=False) if cell.strip()}
                number = reader.line_num + 1
        except csv.Error as error:
            is_long = str(error).startswith("field larger")
            fault = f"a cell of more than {csv.field_size_limit():,} characters" if is_long else str(error)
            raise DefinitionError.of_file(name, fault, ALLOWED_CELL if is_long else ALLOWED_CSV, number) from None


def _open_csv(text: io.TextIOWrapper, columns: Collection[str]) -> "_csv.Reader":
    """Return a reader of a CSV file at its header. A first line such as ``sep=;`` declares the separator; otherwise it
    is the one that splits a header with one of the columns, by default a comma.
    """
    header = text.readline()
    text.seek(0)
    if declaration := _DECLARATION.fullmatch(header):
        reader = csv.reader(text, delimiter=declaration[1], strict=True)
        next(reader)
        return reader
    for separator in SEPARATORS:
        cells = next(csv.reader([header], delimiter=separator), [])
        if len(cells) > 1 and not set(columns).isdisjoint(cells):
            break
    return csv.reader(text, delimiter=separator, strict=True)


@lru_cache(maxsize=256)
def _name_qualities(trait: Trait) -> Mapping[str, float]:
    labels = {fold_name(trait.negative_label): 0.0, fold_name(trait.positive_label): 1.0}
    contradicts_words = any(QUALITY_WORDS.get(label, quality) != quality for label, quality in labels.items())
    return labels if contradicts_words else QUALITY_WORDS | labels


def _check_header(name: str, line: int, header: list[str], needed: Iterable[str]) -> list[Problem]:
    problems, problem = [], partial(Problem, name, line, "header")
    for column in needed:
        if column not in header:
            given, near = format_names(header) or "nothing", find_near_spelling(column, header)
            other = "" if near or column != CONTENT else ", or in model.yaml `mapping: {NAME: content}` for another one"
            problems.append(problem(given, f"a column {column!r}{other}", near))
        elif header.count(column) > 1:
            problems.append(problem(f"{column!r} a second time", "each column once"))
    return problems


def _read_line(name: str, mapping: Labels, text_field: str, needs_label: bool, number: int, entry: Entry) -> Line:
    if isinstance(entry, Problem):
        return Line(number, problems=(entry,))
    labels = {field: value for field, value in entry.items() if field in mapping and value not in (None, "")}
    if not labels and not needs_label:
        return Line(number)
    problem = partial(Problem, name, number)
    text = entry.get(text_field)
    if not isinstance(text, str) or not text.strip():
        others = [] if text_field in entry else [field for field in entry if field not in mapping]
        given = f"nothing, but {format_names(others)}" if others else format_value(text)
        column = next((field for field in others if len(str(entry[field]).split()) > 1), None)
        other = f", or in model.yaml `mapping: {{{column}: content}}`" if column and text_field == CONTENT else ""
        return Line(number, problems=(problem(text_field, given, f"a text that is not empty{other}"),))
    if INVALID_CHARACTER.search(text):
        return Line(number, problems=(problem(text_field, INVALID, VALID),))
    if not labels:
        others = [field for field in entry if field != text_field]
        hint = next(filter(None, (find_near_spelling(field, mapping) for field in others)), None)
        given = f"no label ({format_names(others) or 'no other field'})"
        return Line(number, problems=(problem("line", given, f"a label in {format_names(mapping)}", hint),))
    url = entry.get(SOURCE_URL)
    source_url = url if isinstance(url, str) and url.strip() and not INVALID_CHARACTER.search(url) else None
    seeds, problems = [], []
    for field, value in labels.items():
        trait = mapping[field]
        if trait is None:
            continue
        quality = parse_quality(value, trait)
        if quality is None:
            words = [*_name_qualities(trait), trait.positive_label, trait.negative_label]
            hint = find_near_spelling(value, words) if isinstance(value, str) else None
            problems.append(problem(field, format_value(value), list_qualities(trait), hint))
        else:
            seeds.append(Seed(trait.key, text.strip(), quality, f"{name}:{number}", source_url))
    return Line(number, tuple(seeds), tuple(problems))
