"""Read an author's unlabelled texts from CSV, JSONL, Parquet, a .txt with a text per line, or a folder of .txt files.

They are streamed, since there may be a million. Reading stops at the first mistake.
"""

import hashlib
import heapq
import io
from collections.abc import Generator, Iterator
from contextlib import closing
from functools import lru_cache
from itertools import islice
from pathlib import PurePosixPath
from typing import BinaryIO

import numpy as np
from pyarrow import fs

from engine.definitions.mistakes import find_near_spelling, format_names, format_value
from engine.definitions.sources.entries import BUFFER_BYTES, Source, Version, locating
from engine.definitions.sources.tables import FORMATS, Table, opening_text
from engine.domain.characters import INVALID_CHARACTER, VALID, is_blank
from engine.domain.unlabelled_texts import MAX_DRAWN, MAX_READ, OwnTexts, TextsFile
from engine.errors import DefinitionError, Problem
from engine.system.filesystem import list_below
from engine.text.near_duplicates import hash_form

ALLOWED_FILES = "a .csv, .jsonl, .ndjson, .parquet or .txt file, or a folder of .txt files"
ALLOWED_TEXT = "a UTF-8 text file"
OTHER_FIELD = ", or another name in `field`"
# File extensions of texts without labels.
EXTENSIONS = (*FORMATS, "txt")

# Path of a file below its source (empty if it is the source), and its version.
_File = tuple[str, Version]


def read_unlabelled_texts(folder: str, sources: tuple[Source, ...]) -> OwnTexts:
    """Read the texts of some sources. The last result is cached until a file changes.

    Raises:
        DefinitionError: a source does not exist, has another format, or has no text.
        StoreError: it cannot be read.
    """
    return _read_all(folder, tuple((source, tuple(_list_files(folder, source))) for source in sources))


def _list_files(folder: str, source: Source) -> Iterator[_File]:
    with locating(folder, source, or_folder=True) as (filesystem, path):
        info = filesystem.get_file_info(path)
        if info.type != fs.FileType.Directory:
            if info.extension.lower() not in EXTENSIONS:
                problem = Problem(*source.place, format_value(source.path), ALLOWED_FILES)
                raise DefinitionError(problem.file, [problem])
            yield "", (info.mtime_ns, info.size)
            return
        for info in sorted(list_below(filesystem, path), key=lambda item: item.base_name):
            if info.extension.lower() == "txt":
                yield f"/{info.base_name}", (info.mtime_ns, info.size)


@lru_cache(maxsize=1)
def _read_all(folder: str, files_by_source: tuple[tuple[Source, tuple[_File, ...]], ...]) -> OwnTexts:
    keys, files = set[int](), list[TextsFile]()

    def walk_new() -> Iterator[tuple[int, str]]:
        """Yield each distinct text with its key, and record the number of texts per source."""
        left = MAX_READ
        for source, versions in files_by_source:
            before, digests = left, list[str]()
            for below, _ in versions:
                with (
                    locating(folder, source, below) as (filesystem, place),
                    io.BufferedReader(filesystem.open_input_file(place), BUFFER_BYTES) as stream,
                ):
                    digests.append(hashlib.file_digest(stream, "sha256").hexdigest())
                    # Closed before the stream, here and below, however reading ends.
                    with closing(_walk_texts(source, below, stream)) as texts:
                        for text in islice((text.strip() for text in texts if text and not is_blank(text)), left):
                            left -= 1
                            if (key := hash_form(text)) not in keys:
                                keys.add(key)
                                yield key, text
            if before == left > 0:
                raise DefinitionError.of_file(source.name, "no text", "at least one text that is not empty")
            combined = hashlib.sha256("".join(digests).encode()).hexdigest()
            files.append(TextsFile(source.path, digests[0] if len(digests) == 1 else combined, before - left))

    drawn = heapq.nsmallest(MAX_DRAWN, walk_new())
    return OwnTexts(tuple(files), tuple(text for _, text in drawn), np.array(sorted(keys), np.uint64).tobytes())


def _walk_texts(source: Source, below: str, stream: BinaryIO) -> Generator[str | None]:
    name = f"{source.name}{below}"
    extension = PurePosixPath(name).suffix.lower()[1:]
    if extension in FORMATS:
        yield from _walk_table(Table(name, stream, FORMATS[extension]), source.column)
        return
    with opening_text(name, stream, ALLOWED_TEXT) as text:
        # `iter(…)` instead of the file: a closed generator would close the file that it yields from.
        yield from [text.read()] if below else iter(text.readline, "")


def _walk_table(table: Table, column: str) -> Generator[str | None]:
    with closing(table.walk([column], OTHER_FIELD)) as entries:
        for number, entry in entries:
            if isinstance(entry, Problem):
                raise DefinitionError(table.name, [entry])
            if table.format == "jsonl" and column not in entry:
                given, allowed = format_names(entry) or "nothing", f"the text in {column!r}{OTHER_FIELD}"
                problem = Problem(table.name, number, "field", given, allowed, find_near_spelling(column, entry))
                raise DefinitionError(table.name, [problem])
            text = entry.get(column)
            if not isinstance(text, str | None) or INVALID_CHARACTER.search(text or ""):
                problem = Problem(table.name, number, column, format_value(text), f"a text of {VALID}")
                raise DefinitionError(table.name, [problem])
            yield text
