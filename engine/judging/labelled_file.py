"""Reads a file of texts that a user has labelled: CSV or JSONL, as a model's sources are (contract, section 3)."""

import io
from collections.abc import Mapping
from pathlib import PurePath
from typing import BinaryIO

from engine.definitions.mistakes import find_near_spelling, format_names
from engine.definitions.outline import Outline
from engine.definitions.sources.labelled_lines import CONTENT, Labels, gather_lines, read_fields, walk_csv, walk_jsonl
from engine.domain.model import Seed, Trait
from engine.errors import DefinitionError, InputError, Problem

# The fields that may hold the labels where only one trait is meant.
PLAIN_FIELDS = ("quality", "label")
MOST_MISTAKES = 20
CSV_ENDINGS, JSONL_ENDINGS = (".csv",), (".jsonl", ".ndjson")


def read_labelled(name: str, stream: BinaryIO, outline: Outline, only: Trait | None = None) -> list[Seed]:
    """Reads the labels of a file for a model's traits; the labels of a text for several traits are several seeds.

    The labels of a trait stand in a field with its key, or in one that the model's own sources map to it. Where only
    one trait is meant, they may stand in ``quality`` or ``label``.

    Args:
        name: the file's name, for messages; its ending says what it is. A name without one, such as that of a pipe, may
            be either.
        only: the one trait whose labels are read; the others' are passed over.

    Raises:
        DefinitionError: there are mistakes in the file; the error carries the first of them.
        InputError: the file is neither CSV nor JSONL.
    """
    file = stream if stream.seekable() else io.BytesIO(stream.read())
    is_csv = _is_csv(name, file)
    labels = _choose_labels(name, read_fields(file, is_csv), outline, only, is_csv)
    seeds, problems, _ = gather_lines((walk_csv if is_csv else walk_jsonl)(name, file, labels))
    if len(problems) > MOST_MISTAKES:
        raise DefinitionError(f"{name}, of {len(problems):,} the first", problems[:MOST_MISTAKES])
    if problems:
        raise DefinitionError(name, problems)
    return seeds


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
    is_object = stream.read(1024).removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{")
    return not is_object


def _choose_labels(name: str, fields: list[str], outline: Outline, only: Trait | None, is_csv: bool) -> Labels:
    """Chooses the fields of a file that hold labels.

    Raises:
        DefinitionError: there are none.
    """
    mapped = {field: trait for source in outline.sources for field, trait in source.mapping.items() if trait}
    own: Mapping[str, Trait] = mapped | {trait.key: trait for trait in outline.traits}
    meant = [only] if only else list(outline.traits)
    wanted: Labels = {field: trait if trait in meant else None for field, trait in own.items()}
    if any(own.get(field) in meant for field in fields):
        return {field: trait for field, trait in wanted.items() if field in fields} if is_csv else wanted
    if len(meant) == 1 and (plain := next((field for field in PLAIN_FIELDS if field in fields), None)):
        return {plain: meant[0]}
    if not is_csv and any(field in own for field in fields):
        return wanted
    if not fields:
        return {} if is_csv else own
    keys = [trait.key for trait in meant]
    plainly = f"or {' or '.join(map(repr, PLAIN_FIELDS))}" + ("" if len(meant) == 1 else " with --trait")
    allowed = f"labels for {outline.handle}, in {format_names(keys)}, {plainly}"
    found = format_names(fields)
    problems = [Problem(name, 1, "fields", found, allowed, _suggest(fields, keys))]
    if CONTENT not in fields:
        problems.append(Problem(name, 1, "fields", found, f"the text, in {CONTENT!r}", _suggest(fields, [CONTENT])))
    raise DefinitionError(name, problems)


def _suggest(fields: list[str], choices: list[str]) -> str | None:
    return next(filter(None, (find_near_spelling(field, choices) for field in fields)), None)
