"""Read the rows of a stored set in batches, so that memory does not grow with the set."""

import json
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from engine.domain.model import Attached
from engine.domain.samples import SAMPLE_SCHEMA
from engine.errors import StoreError
from engine.store.commit import is_attached
from engine.store.sample_set import GROUP_ROWS, read_manifest
from engine.store.store import StoredSet, explain_damage
from engine.system.filesystem import open_whole
from engine.system.parquet import open_parquet

_BUFFER_BYTES = 64 * 1024
_ATTACHED_COLUMNS = ["trait", "text", "quality", "scenario", "seed_sha256", "pair_id"]


@contextmanager
def open_rows(stored: StoredSet, read_dictionary: Sequence[str] = ()) -> Iterator[pq.ParquetFile]:
    """Open the Parquet file of a set's samples; a damaged page is an error.

    Raises:
        StoreError: the file is gone or cannot be read, also inside the block.
    """
    options = {"read_dictionary": list(read_dictionary), "buffer_size": _BUFFER_BYTES}
    with (
        explain_damage(stored),
        open_whole(stored.file(stored.rows_name)) as source,
        open_parquet(source, **options) as parquet,
    ):
        yield parquet


def walk_rows(stored: StoredSet, columns: Sequence[str], rows: int) -> Iterator[pa.Table]:
    """Yield some columns of a set, with the types of ``SAMPLE_SCHEMA``, in tables of at most ``rows`` rows.

    Raises:
        StoreError: as ``open_rows``.
    """
    schema = pa.schema([SAMPLE_SCHEMA.field(name) for name in columns])
    with open_rows(stored) as parquet:
        for batch in parquet.iter_batches(rows, columns=list(columns), use_threads=False):
            yield pa.Table.from_batches([batch]).select(columns).cast(schema)


def read_attached(sets: Sequence[StoredSet]) -> tuple[Attached, ...]:
    """Return the samples of some sets, in order, with their texts and pairs.

    Raises:
        StoreError: as ``open_rows``.
    """
    rows = read_whole_sets(sets, _ATTACHED_COLUMNS).to_pylist()
    return tuple(Attached(subject=json.loads(row.pop("scenario")).get("subject", ""), **row) for row in rows)


def read_whole_sets(sets: Sequence[StoredSet], columns: Sequence[str] = SAMPLE_SCHEMA.names) -> pa.Table:
    """Return all rows and some columns of some attached sets, in order, as a table in memory.

    Raises:
        StoreError: as ``passing_over_detached``.
    """
    tables = [SAMPLE_SCHEMA.empty_table().select(columns)]
    for stored in sets:
        with passing_over_detached(stored):
            tables += walk_rows(stored, columns, GROUP_ROWS)
    return pa.concat_tables(tables)


def read_matching(stored: StoredSet, name: str, column: str, values: Collection[object]) -> list[dict[str, Any]]:
    """Return the rows of a set's file with one of some values in a column; none if the set has no such file.

    A row group is read whole only if it has such a row.

    Raises:
        StoreError: the file cannot be read.
    """
    if name not in stored.manifest["files"]:
        return []
    with (
        explain_damage(stored, name),
        open_whole(stored.file(name)) as source,
        open_parquet(source) as parquet,
    ):
        rows: list[dict[str, Any]] = []
        for group in range(parquet.num_row_groups):
            keys = parquet.read_row_group(group, [column], use_threads=False)[column]
            hits = pc.is_in(keys, pa.array(values, keys.type))
            if pc.any(hits).as_py():
                rows += parquet.read_row_group(group, use_threads=False).filter(hits).to_pylist()
        return rows


@contextmanager
def passing_over_detached(stored: StoredSet) -> Iterator[None]:
    """Suppress the read error of a set that was detached after it was listed: it counts as a set without rows.

    Raises:
        StoreError: the set is attached and cannot be read.
    """
    try:
        yield
    except StoreError:
        if is_attached(read_manifest(stored.folder)):
            raise
