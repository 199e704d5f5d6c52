"""No thread of Arrow holds a Python object after a read: if it is released at exit, the process aborts."""

import ast
import io
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.system.parquet import read_table

ROOT = Path(__file__).parents[3]
READER = Path("engine/system/parquet.py")
OPENS = {"ParquetFile", "read_table", "read_parquet", "ParquetDataset"}
READS = {"read_row_group", "read_row_groups", "iter_batches"}


def test_read_leaves_no_reference_to_the_bytes() -> None:
    stream = io.BytesIO()
    table = pa.table({f"c{i}": [f"text {i} {row}" * 20 for row in range(32)] for i in range(20)})
    pq.write_table(table, stream, write_page_checksum=True)
    content = stream.getvalue()
    before = sys.getrefcount(content)

    for _ in range(100):
        assert table == read_table(content)
        # With pyarrow's own threads, every second read fails here.
        assert before == sys.getrefcount(content)


def test_damaged_page_is_an_error() -> None:
    stream = io.BytesIO()
    pq.write_table(
        pa.table({"text": ["a" * 1000]}),
        stream,
        compression="NONE",
        use_dictionary=False,
        write_statistics=False,
        write_page_checksum=True,
    )
    content = bytearray(stream.getvalue())
    content[100] ^= 1

    with pytest.raises(OSError, match="CRC"):
        read_table(bytes(content))


def test_no_module_reads_parquet_in_another_way() -> None:
    calls = [
        f"{path.relative_to(ROOT)}:{call.lineno}: {ast.unparse(call)}"
        for folder in ("engine", "expectations", "exemplars", "flows", "tasks")
        for path in (ROOT / folder).rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute)
        if (call.func.attr in OPENS and path.relative_to(ROOT) != READER)
        or (call.func.attr in READS and "use_threads=False" not in ast.unparse(call))
    ]

    assert [] == calls, f"open Parquet files by {READER}, and read them with use_threads=False"
