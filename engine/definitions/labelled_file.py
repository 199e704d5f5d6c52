"""Reads a file of texts that a user has labelled, as a spreadsheet writes it: a table, not a source of the model."""

import io
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import PurePath
from typing import BinaryIO

from engine.definitions.loader import check_traits
from engine.definitions.mistakes import find_near_spelling, format_names
from engine.definitions.outline import Outline
from engine.definitions.sources.labelled_lines import CONTENT, TEXT, Labels, gather_lines, read_fields, walk_labelled
from engine.domain.model import Seed, Trait
from engine.errors import DefinitionError, InputError, Problem

# The fields that may hold the labels where only one trait is meant.
PLAIN_FIELDS = ("quality", "label")
MOST_MISTAKES = 20
CSV_ENDINGS, JSONL_ENDINGS = (".csv",), (".jsonl", ".ndjson")


@dataclass(frozen=True, slots=True)
class LabelledFile:
    """The labels of a file, for a text with several of them several seeds; ``unlabelled`` counts lines without any."""

    name: str
    seeds: tuple[Seed, ...]
    unlabelled: int = 0


def read_labelled(name: str, stream: BinaryIO, outline: Outline, only: Trait | None = None) -> LabelledFile:
    """Reads the labels of a file for a model's traits.

    The text stands in ``content``, in ``text``, or in what a source of the model calls it. The labels of a
    trait stand in a field with its key, or in one that the model's own sources map to it; where only one trait is
    meant, they may stand in ``quality`` or ``label``.

    Args:
        name: the file's name, for messages; its ending says what it is. A name without one, such as that of a pipe, may
            be either.
        only: the one trait whose labels are read; the others' are passed over.

    Raises:
        DefinitionError: there are mistakes in the file; the error carries the first of them.
        InputError: the file is neither CSV nor JSONL, or nothing in it is labelled; a NoTraitsError if the model has no
            traits yet.
    """
    check_traits(outline)
    file = stream if stream.seekable() else io.BytesIO(stream.read())
    is_csv = _is_csv(name, file)
    fields = read_fields(file, is_csv)
    labels = _choose_labels(name, fields, outline, only, is_csv)
    columns = [CONTENT, TEXT, *(source.column for source in (*outline.sources, *outline.text_sources))]
    text_field = next((column for column in columns if column in fields and column not in labels), CONTENT)
    with closing(walk_labelled(name, file, is_csv, labels, text_field=text_field, needs_label=False)) as lines:
        seeds, problems, unlabelled = gather_lines(lines, MOST_MISTAKES)
    check_mistakes(name, problems)
    if not seeds:
        labelling = format_names([field for field, trait in labels.items() if trait])
        where = f": no line has a label in {labelling}" if labelling else ""
        raise InputError(f"{name} has no labelled texts{where}. Write one a line, with its label")
    return LabelledFile(name, tuple(seeds), len(unlabelled))


def check_mistakes(name: str, problems: Sequence[Problem]) -> None:
    """Checks that there are no mistakes in a file.

    Raises:
        DefinitionError: there are; the error carries the first of them.
    """
    if len(problems) > MOST_MISTAKES:
        raise DefinitionError(f"{name}, up to line {problems[MOST_MISTAKES - 1].line}", problems[:MOST_MISTAKES])
    if problems:
        raise DefinitionError(name, problems)


def _is_csv(name: str, stream: BinaryIO) -> bool:
    ending = PurePath(name).suffix.lower()
    if ending in CSV_ENDINGS + JSONL_ENDINGS:
        return ending in CSV_ENDINGS
    if ending:
        raise InputError(
            f"{name}: labelled texts are read from CSV (.csv, UTF-8, with a header row) and JSONL (.jsonl, one JSON "
            f"object a line). Write {name} as one of these"
        )
    stream.seek(0)
    return not stream.read(1024).removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{")


def _choose_labels(name: str, fields: list[str], outline: Outline, only: Trait | None, is_csv: bool) -> Labels:
    """Chooses the fields of a file that hold labels.

    Raises:
        DefinitionError: there are none.
    """
    mapped = {field: trait for source in outline.sources for field, trait in source.mapping.items() if trait}
    meant = [only] if only else list(outline.traits)
    own = mapped | {trait.key: trait for trait in outline.traits}
    wanted: Labels = {field: trait if trait in meant else None for field, trait in own.items()}
    if not fields or any(map(wanted.get, fields)):
        return {field: trait for field, trait in wanted.items() if field in fields} if is_csv else wanted
    if len(meant) == 1 and (plain := next((field for field in PLAIN_FIELDS if field in fields), None)):
        return {plain: meant[0]}
    keys = [trait.key for trait in meant]
    plainly = f"or {' or '.join(map(repr, PLAIN_FIELDS))}" + ("" if len(meant) == 1 else " where one trait is meant")
    allowed = f"labels for {outline.handle}, in {format_names(keys)}, {plainly}"
    hint = next(filter(None, (find_near_spelling(field, keys) for field in fields)), None)
    raise DefinitionError(name, [Problem(name, 1, "fields", format_names(fields), allowed, hint)])
