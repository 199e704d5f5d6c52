"""Read a table of texts, CSV, JSONL or Parquet, row by row: its separator, encoding, line numbers and mistakes."""

import csv
import io
import json
import re
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from itertools import count, islice
from typing import TYPE_CHECKING, BinaryIO, Literal

import pyarrow as pa

from engine.definitions.mistakes import find_near_spelling, format_names
from engine.errors import DefinitionError, Problem
from engine.system.parquet import open_parquet
from engine.text.formatting import unquote_formulas

if TYPE_CHECKING:
    import _csv

Format = Literal["csv", "jsonl", "parquet"]
# Format of each file extension.
FORMATS: Mapping[str, Format] = {"csv": "csv", "jsonl": "jsonl", "ndjson": "jsonl", "parquet": "parquet"}

CONTENT, TEXT = "content", "text"
SOURCE_URL = "source_url"
# Columns that mark a CSV as written by `exemplars export` or `suggest`, which quote formulas.
EXPORTED, SUGGESTED = "content_sha256", "_suggested"
ALLOWED_CSV = "a CSV file with a header row, saved as UTF-8 (in a spreadsheet: CSV UTF-8)"
ALLOWED_PARQUET = "a Parquet file"
ALLOWED_CELL = "a shorter text. If the text is short, close the quotation mark that opens its cell"
ONE_OBJECT = "one JSON object a line"
# Cell separators; the last is the default. Spreadsheets write semicolons in locales with a decimal comma.
SEPARATORS = ";\t,"
# A line before the header that Excel reads and some programs write.
_DECLARATION = re.compile(r'"?sep=([^\w\s"]|\t)"?[\r\n]*', re.IGNORECASE)
# Lines of JSONL that are searched for field names, since a line may lack some fields.
LINES_WITH_FIELDS = 1_000

# Values of a row by field, or the row's mistake.
Entry = Mapping[str, object] | Problem


@dataclass(frozen=True, slots=True)
class Table:
    """A file of texts with fields: a CSV file with a header row, a file with a JSON object a line, or a Parquet file.

    Args:
        name: the file's name in messages.
        stream: the file, which can be read again from its beginning.
    """

    name: str
    stream: BinaryIO
    format: Format

    def list_fields(self) -> list[str]:
        """Return the field names, from the header or the first JSON objects; empty if there are none."""
        if self.format == "jsonl":
            entries = (entry for _, entry in islice(self._walk_objects(), LINES_WITH_FIELDS))
            return list(dict.fromkeys(name for entry in entries if not isinstance(entry, Problem) for name in entry))
        with suppress(csv.Error, DefinitionError, pa.ArrowInvalid):
            if self.format == "parquet":
                return list(open_parquet(self.stream).schema_arrow.names)
            with opening_text(self.name, self.stream, ALLOWED_CSV) as text:
                return next(filter(None, _open_csv(text, {CONTENT, TEXT})), [])
        return []

    def walk(self, needed: Sequence[str], remedy: str = "") -> Generator[tuple[int, Entry], None, None]:
        """Yield the rows that are not blank, without empty values.

        Each comes with the number of its first line, in a Parquet file of its row.

        Args:
            needed: fields that a CSV or Parquet file must have, first the text. They decide which character separates
                the cells of a CSV file, and no other field of a Parquet file is read but ``source_url``.
            remedy: what else to do if the field of the text is lacking, as the end of a message.

        Raises:
            DefinitionError: the file has another format or is not UTF-8, or its header lacks a needed field or repeats
                it.
        """
        if self.format == "jsonl":
            return self._walk_objects()
        return self._walk_csv(needed, remedy) if self.format == "csv" else self._walk_parquet(needed, remedy)

    def _walk_objects(self) -> Generator[tuple[int, Entry], None, None]:
        self.stream.seek(0)
        for number, raw in enumerate(self.stream, 1):
            if not raw.strip():
                continue
            problem = partial(Problem, self.name, number, "line")
            try:
                entry = json.loads(raw.decode("utf-8-sig"))
            except (ValueError, RecursionError) as error:
                shown = repr(raw[:40].decode(errors="replace").removesuffix("\n"))
                if isinstance(error, json.JSONDecodeError):
                    shown += f" ({error.msg.lower()} at character {error.colno:,})"
                yield number, problem(shown, ONE_OBJECT)
            else:
                yield number, entry if isinstance(entry, dict) else problem(type(entry).__name__, ONE_OBJECT)

    def _walk_csv(self, needed: Sequence[str], remedy: str) -> Generator[tuple[int, Entry], None, None]:
        with opening_text(self.name, self.stream, ALLOWED_CSV) as text:
            number = 1
            try:
                reader = _open_csv(text, needed)
                header = next(filter(None, reader), [])
                self._check_header(max(1, reader.line_num), header, needed, remedy)
                has_quoted_formulas = any(column == EXPORTED or column.endswith(SUGGESTED) for column in header)
                number = reader.line_num + 1
                for row in reader:
                    if len(row) > len(header):
                        allowed = f"{len(header)}, as in the header; quote a comma"
                        yield number, Problem(self.name, number, "line", f"{len(row)} cells", allowed)
                    elif row:
                        cells = map(unquote_formulas, row) if has_quoted_formulas else row
                        yield number, {key: cell for key, cell in zip(header, cells, strict=False) if cell.strip()}
                    number = reader.line_num + 1
            except csv.Error as error:
                is_long = str(error).startswith("field larger")
                fault = f"a cell of more than {csv.field_size_limit():,} characters" if is_long else str(error)
                allowed = ALLOWED_CELL if is_long else ALLOWED_CSV
                raise DefinitionError.of_file(self.name, fault, allowed, number) from None

    def _walk_parquet(self, needed: Sequence[str], remedy: str) -> Generator[tuple[int, Entry], None, None]:
        try:
            parquet, numbers = open_parquet(self.stream), count(1)
            schema = parquet.schema_arrow
            self._check_header(None, schema.names, needed, remedy)
            columns = [name for name in dict.fromkeys((*needed, SOURCE_URL)) if name in schema.names]
            # Spark and older writers store texts as bytes.
            types = [pa.string() if pa.types.is_binary(schema.field(name).type) else None for name in columns]
            for batch in parquet.iter_batches(columns=columns, use_threads=False):
                arrays = (
                    batch[name].cast(kind) if kind else batch[name] for name, kind in zip(columns, types, strict=True)
                )
                rows = zip(*(array.to_pylist() for array in arrays), strict=True)
                for row, number in zip(rows, numbers, strict=False):
                    yield number, {name: value for name, value in zip(columns, row, strict=False) if value is not None}
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise DefinitionError.of_file(self.name, str(error).rstrip("."), ALLOWED_PARQUET) from error

    def _check_header(self, line: int | None, header: Sequence[str], needed: Sequence[str], remedy: str) -> None:
        problems, problem = [], partial(Problem, self.name, line, "header")
        for column in needed:
            if column not in header:
                given, near = format_names(header) or "nothing", find_near_spelling(column, header)
                other = remedy if column == needed[0] and not near else ""
                problems.append(problem(given, f"a column {column!r}{other}", near))
            elif header.count(column) > 1:
                problems.append(problem(f"{column!r} a second time", "each column once"))
        if problems:
            raise DefinitionError(self.name, problems)


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
