"""Columns of the gate's frames, in which stored rows stand without their texts: a model may have a million."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

# Stands for the text of a stored row that nothing is to be said of.
STORED_TEXT = "(in the store)"
ORIGINS = ["authored", "attached", "run"]


def join_columns(before: Sequence[str], stored: pa.ChunkedArray, after: Sequence[str]) -> "pd.Categorical[str]":
    """Joins values in memory, a dictionary-encoded column and more values."""
    parts = [pa.array(part, pa.string()).dictionary_encode() for part in (before, after)]
    joined = pa.chunked_array([parts[0], *stored.chunks, parts[1]], stored.type).unify_dictionaries().combine_chunks()
    array = joined.chunk(0) if isinstance(joined, pa.ChunkedArray) else joined
    return name_codes(np.asarray(array.indices), array.dictionary.to_pylist())


def join_texts(
    before: Sequence[str], stored: int, known: Mapping[int, str], after: Sequence[str | None]
) -> "pd.Categorical[str]":
    """Joins texts in memory with ``stored`` rows in the store; ``known`` are texts of those, by position in all."""
    names = {
        text: code
        for code, text in enumerate(dict.fromkeys([STORED_TEXT, *before, *known.values(), *filter(None, after)]))
    }
    codes = np.full(len(before) + stored + len(after), names[STORED_TEXT], np.int32)
    codes[: len(before)] = [names[text] for text in before]
    codes[len(before) + stored :] = [-1 if text is None else names[text] for text in after]
    for number, text in known.items():
        codes[number] = names[text]
    return name_codes(codes, list(names))


def join_origins(authored: int, attached: int, new: int) -> "pd.Categorical[str]":
    """Names the origin of each row: first the authored ones, then those in the store, then the run's."""
    return name_codes(np.repeat([0, 1, 2], [authored, attached, new]), ORIGINS)


def spread(values: Mapping[int, str], rows: int) -> "pd.Categorical[str]":
    """Puts texts at their positions in a column that is null elsewhere."""
    names = {text: code for code, text in enumerate(dict.fromkeys(values.values()))}
    codes = np.full(rows, -1, np.int32)
    for number, text in values.items():
        codes[number] = names[text]
    return name_codes(codes, list(names))


def name_codes(codes: np.ndarray[tuple[int], np.dtype[Any]], names: Sequence[str]) -> "pd.Categorical[str]":
    """Makes the column in which each code stands for its name, and -1 for null."""
    return pd.Categorical.from_codes(codes, pd.Index(list(names), dtype=str))
