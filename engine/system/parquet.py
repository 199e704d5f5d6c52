"""Read Parquet files on the calling thread alone, so that the interpreter may end right after a read.

By default, pyarrow reads ahead on threads of its own. After the read has returned, such a thread may still hold the
last reference to the ``bytes`` or the Python file. If the interpreter ends first, the process aborts or hangs:
https://github.com/apache/arrow/issues/33975 and https://github.com/apache/arrow/issues/50482.
"""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq


def open_parquet(source: Any, **options: Any) -> pq.ParquetFile:
    """Open a Parquet file. Damaged pages raise errors. Every read from it must pass ``use_threads=False``.

    Args:
        source: a path, an Arrow file, a binary Python file, or the file's bytes.
        options: options of ``pyarrow.parquet.ParquetFile``.

    Raises:
        OSError, pa.ArrowException: the file cannot be read, or is not Parquet.
    """
    source = pa.BufferReader(source) if isinstance(source, bytes) else source
    return pq.ParquetFile(source, pre_buffer=False, page_checksum_verification=True, **options)


def read_table(source: Any, columns: Sequence[str] | None = None) -> pa.Table:
    """Return the table of a Parquet file, or some of its columns; ``source`` and errors as ``open_parquet``."""
    with open_parquet(source) as parquet:
        return parquet.read(columns, use_threads=False)
