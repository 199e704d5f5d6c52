"""Read a table of labelled texts, such as a spreadsheet's export, that is not one of the model's sources."""

import io
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import PurePath
from typing import BinaryIO

from engine.definitions.loader import check_traits
from engine.definitions.mistakes import find_near_spelling, format_names
from engine.definitions.outline import Outline
from engine.definitions.sources.labelled_lines import Labels, gather_lines, walk_labelled
from engine.definitions.sources.tables import CONTENT, FORMATS, TEXT, Format, Table
from engine.domain.definition import Trait
from engine.domain.model import Seed
from engine.errors import DefinitionError, InputError, Problem

# Fields that may hold the labels if only one trait is read.
PLAIN_FIELDS = ("quality", "label")
MOST_MISTAKES = 20
# First bytes of every Parquet file.
PARQUET = b"PAR1"


@dataclass(frozen=True, slots=True)
class LabelledFile:
    """Labels of a file, one seed per label; ``unlabelled`` counts the lines without a label."""

    name: str
    seeds: tuple[Seed, ...]
    unlabelled: int = 0


def read_labelled(name: str, stream: BinaryIO, outline: Outline, only: Trait | None = None) -> LabelledFile:
    """Read the labels of a file for a model's traits.

    The text is in the field ``content``, ``text``, or the text field of one of the model's sources. The labels of a
    trait are in the field named like its key, or in a field that the model's sources map to it. If only one trait is
    read, they may be in ``quality`` or ``label``.

    Args:
        name: the file's name, for messages. Its extension sets the format; without one, as for a pipe, content does.
        only: the one trait to read labels for; labels of other traits are skipped.

    Raises:
        DefinitionError: there are mistakes in the file; the error carries the first of them.
        InputError: the file is no table, or no text in it has a label; a NoTraitsError if the model has no
            traits yet.
    """
    check_traits(outline)
    file = stream if stream.seekable() else io.BytesIO(stream.read())
    table = Table(name, file, _find_format(name, file))
    fields = table.list_fields()
    labels = _choose_labels(table, fields, outline, only)
    columns = [CONTENT, TEXT, *(source.column for source in (*outline.sources, *outline.text_sources))]
    text_field = next((column for column in columns if column in fields and column not in labels), CONTENT)
    with closing(walk_labelled(table, labels, text_field=text_field, needs_label=False)) as lines:
        seeds, problems, unlabelled = gather_lines(lines, MOST_MISTAKES)
    check_mistakes(name, problems)
    if not seeds:
        labelling = format_names([field for field, trait in labels.items() if trait])
        where = f": no line has a label in {labelling}" if labelling else ""
        raise InputError(f"{name} has no labelled texts{where}. Write one a line, with its label")
    return LabelledFile(name, tuple(seeds), len(unlabelled))


def check_mistakes(name: str, problems: Sequence[Problem]) -> None:
    """Raise an error if a file has mistakes.

    Raises:
        DefinitionError: ``problems`` is not empty; the error carries the first ``MOST_MISTAKES``.
    """
    if len(problems) > MOST_MISTAKES:
        raise DefinitionError(f"{name}, up to line {problems[MOST_MISTAKES - 1].line}", problems[:MOST_MISTAKES])
    if problems:
        raise DefinitionError(name, problems)


def _find_format(name: str, stream: BinaryIO) -> Format:
    extension = PurePath(name).suffix.lower().removeprefix(".")
    if extension in FORMATS:
        return FORMATS[extension]
    if extension:
        raise InputError(
            f"{name}: labelled texts are read from CSV (.csv, UTF-8, with a header row), JSONL (.jsonl, one JSON "
            f"object a line) and Parquet (.parquet). Write {name} as one of these"
        )
    stream.seek(0)
    start = stream.read(1024)
    if start.startswith(PARQUET):
        return "parquet"
    return "jsonl" if start.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{") else "csv"


def _choose_labels(table: Table, fields: list[str], outline: Outline, only: Trait | None) -> Labels:
    """Return the label fields of a file; without any, raise ``DefinitionError``."""
    mapped = {field: trait for source in outline.sources for field, trait in source.mapping.items() if trait}
    requested = [only] if only else list(outline.traits)
    known = mapped | {trait.key: trait for trait in outline.traits}
    labels: Labels = {field: trait if trait in requested else None for field, trait in known.items()}
    if not fields or any(map(labels.get, fields)):
        # Lines of JSONL may lack fields.
        return {field: trait for field, trait in labels.items() if table.format == "jsonl" or field in fields}
    if len(requested) == 1 and (plain := next((field for field in PLAIN_FIELDS if field in fields), None)):
        return {plain: requested[0]}
    keys = [trait.key for trait in requested]
    plain_fields = " or ".join(map(repr, PLAIN_FIELDS)) + ("" if len(keys) == 1 else " where one trait is meant")
    allowed = f"labels for {outline.handle}, in {format_names(keys)}, or {plain_fields}"
    hint = next(filter(None, (find_near_spelling(field, keys) for field in fields)), None)
    raise DefinitionError(table.name, [Problem(table.name, 1, "fields", format_names(fields), allowed, hint)])
