"""Reads a model's authored samples line by line: what ``sources`` names, and what was added."""

import io
import posixpath
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import pyarrow as pa

from engine.definitions.outline import ADDED_FILE, Outline, make_added_source
from engine.definitions.sources.entries import Source
from engine.definitions.sources.labelled_lines import Line, walk_csv, walk_jsonl
from engine.definitions.sources.unlabelled import walk_ordinary, walk_passages
from engine.errors import DefinitionError, StoreError
from engine.system.filesystem import OutsideFolderError, list_folders_with, locate_inside, open_folder

BUFFER_BYTES = 64 * 1024
# The modification time of a file in nanoseconds, and its size in bytes: another version, another content.
Version = tuple[int | None, int | None]


def list_sources(folder: str, outline: Outline) -> tuple[Source, ...]:
    """The sources of a model in order; the last is the file of added samples, where there is one.

    Args:
        folder: the model's own, a path or URI.

    Raises:
        StoreError: the folder cannot be read.
    """
    if not outline.traits or names_added(outline):
        return outline.sources
    parent, _, name = folder.rpartition("/")
    try:
        has_added = bool(list_folders_with(parent, [name], ADDED_FILE))
    except (OSError, pa.ArrowException) as error:
        raise StoreError(f"{folder} cannot be read: {error}") from error
    return (*outline.sources, make_added_source(outline)) if has_added else outline.sources


def names_added(outline: Outline) -> bool:
    """Whether ``sources`` names the file of added samples itself, which then is read as it says."""
    return any(posixpath.normpath(source.path) == ADDED_FILE for source in outline.sources)


def walk_source(folder: str, source: Source, start: int = 1) -> Iterator[Line]:
    """Yields the lines of a source from the line ``start``.

    Raises:
        DefinitionError: a line that was read is wrong, or the source cannot be found.
        StoreError: the source cannot be read.
    """
    with _explain(source), _open(folder, source) as stream:
        for line in walk_stream(source, stream, start):
            if line.problems:
                raise DefinitionError(source.name, line.problems)
            yield line


def walk_stream(source: Source, stream: BinaryIO, start: int = 1) -> Iterator[Line]:
    """Yields the lines of a source, right ones and wrong ones, from the line ``start``.

    Args:
        stream: its file; of ordinary texts, which come with the code, an empty one.
    """
    if source.type == "noise":
        return walk_ordinary(source.name, source.texts, source.labels, start)
    if source.type == "file":
        return walk_passages(source.name, stream, source.labels, source.by_line, start)
    return (walk_csv if source.type == "csv" else walk_jsonl)(source.name, stream, source.mapping, start)


def read_version(folder: str, source: Source) -> Version:
    """The version of a source's file; of ordinary texts, which come with the code, there is one.

    Raises:
        DefinitionError, StoreError: as ``walk_source``.
    """
    if source.type == "noise":
        return None, None
    with _explain(source):
        filesystem, path = open_folder(locate_inside(folder, source.path))
        info = filesystem.get_file_info(path)
    return info.mtime_ns, info.size


def _open(folder: str, source: Source) -> BinaryIO:
    if source.type == "noise":
        return io.BytesIO()
    filesystem, path = open_folder(locate_inside(folder, source.path))
    return io.BufferedReader(filesystem.open_input_file(path), BUFFER_BYTES)


@contextmanager
def _explain(source: Source) -> Iterator[None]:
    """Translates errors of a source's file, with the same messages as when the definition is loaded."""
    try:
        yield
    except (OutsideFolderError, FileNotFoundError) as error:
        problem = source.explain(error)
        raise DefinitionError(problem.file, [problem]) from error
    except (OSError, pa.ArrowException) as error:
        raise StoreError(f"{source.name} cannot be read: {error}") from error
