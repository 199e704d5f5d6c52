"""The hashes of a set's texts, by the ids of its samples: written with the set, and never again.

A removal takes rows off the samples and none off the hashes, so these may have more rows, in the same order.
"""

import io
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from engine.system.filesystem import open_folder, read_bytes
from engine.text.near_duplicates import HASHES_SCHEMA, HashColumn, Nearness, make_hashes

GROUP_ROWS = 65_536
# A file on this disk, or its content.
Hashes = str | bytes
Ids = np.ndarray[tuple[int], np.dtype[np.int64]]


def render_hashes(ids: Sequence[int], texts: Sequence[str]) -> bytes:
    """The bytes of the file with the hashes of a set's texts."""
    table = pa.table([pa.array(ids, pa.int64()), *make_hashes(texts).columns], schema=HASHES_SCHEMA)
    stream = io.BytesIO()
    options = {"compression": "NONE", "use_dictionary": False, "write_statistics": False}
    pq.write_table(table, stream, row_group_size=GROUP_ROWS, write_page_checksum=True, **options)
    return stream.getvalue()


def fetch_hashes(uri: str) -> Hashes:
    """The file of a set's hashes on this disk, or its content from an object store.

    Raises:
        FileNotFoundError, StoreError: there is none, or it cannot be read.
    """
    return read_bytes(uri) if "://" in uri else open_folder(uri)[1]


def walk_hashes(hashes: Hashes, kind: Nearness, column: HashColumn, ids: Ids | None) -> Iterator[pa.Array]:
    """Yields a column of hashes in parts.

    Args:
        ids: those of the samples, in order; None where there are as many hashes.

    Raises:
        ValueError: some of these samples have no hashes, or another version of the code made them.
    """
    name = kind.name if column == "signature" else column
    wanted, found = None if ids is None else pa.array(ids), 0
    source = pa.BufferReader(hashes) if isinstance(hashes, bytes) else hashes
    with pq.ParquetFile(source, pre_buffer=False, page_checksum_verification=True) as parquet:
        if parquet.schema_arrow.metadata != HASHES_SCHEMA.metadata:
            raise ValueError("another version of this program made its hashes")
        for group in range(parquet.num_row_groups):
            columns = [name] if wanted is None else ["id", name]
            table = parquet.read_row_group(group, columns=columns, use_threads=False)
            if wanted is not None:
                table = table.filter(pc.is_in(table["id"], wanted))
                found += table.num_rows
            yield from table[name].chunks
    if ids is not None and found != len(ids):
        raise ValueError(f"it has hashes of {found} of its {len(ids)} samples")
