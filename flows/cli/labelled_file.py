"""Read the file of labelled texts that is passed to a command."""

import sys
from pathlib import Path

from engine.definitions.labelled_file import LabelledFile, read_labelled
from engine.definitions.loader import load_outline
from engine.domain.definition import Trait
from engine.errors import InputError
from engine.settings import Settings
from flows.cli.options import STDIN


def read_labelled_file(settings: Settings, handle: str, file: str, only: Trait | None = None) -> LabelledFile:
    """Read the labels of a file for a model's traits.

    Args:
        file: a path, or ``-`` for standard input.
        only: read the labels of this trait only.

    Raises:
        InputError: the model or the file cannot be used, or nothing in the file is labelled.
    """
    outline = load_outline(settings.models_uri, handle)
    try:
        if file == STDIN:
            return read_labelled(file, sys.stdin.buffer, outline, only)
        with Path(file).open("rb") as stream:
            return read_labelled(file, stream, outline, only)
    except OSError as error:
        raise InputError(
            f"{file} cannot be read: {error.strerror or error}. Give a CSV, JSONL or Parquet file of labelled texts"
        ) from error
