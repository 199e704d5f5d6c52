"""Reads the rows that are still whole from a damaged SQLite file and its write-ahead log.

SQLite reads nothing of a table that lacks a page on the way to it. The pages that are there hold whole rows all the
same; their format is https://sqlite.org/fileformat2.html.
"""

import struct
from collections.abc import Iterator
from pathlib import Path

Value = str | bytes | int | float | None
Row = tuple[int, tuple[Value, ...]]

_MAGIC = b"SQLite format 3\0"
FILE_HEADER, _LOG_HEADER, _FRAME_HEADER = 100, 32, 24
_LEAF = 0x0D
_DEFAULT_PAGE_SIZE = 4096
# What stands in a record for a number of these bytes.
_WIDTHS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}
_NOT_READABLE = (IndexError, KeyError, ValueError, struct.error)


def read_rows(database: Path, log: Path) -> list[Row]:
    """The rows of all tables, as (rowid, values), page by page; what cannot be read is left out."""
    file = database.read_bytes() if database.is_file() else b""
    frames = log.read_bytes() if log.is_file() else b""
    size = _find_page_size(file, frames)
    pages = {start // size + 1: file[start : start + size].ljust(size, b"\0") for start in range(0, len(file), size)}
    pages |= _read_log(frames, size)
    return [row for number in sorted(pages) for row in _read_leaf(pages, number, size)]


def _find_page_size(file: bytes, frames: bytes) -> int:
    size = 0
    if len(frames) >= _LOG_HEADER:
        size = struct.unpack_from(">I", frames, 8)[0]
    elif file.startswith(_MAGIC) and len(file) >= FILE_HEADER:
        size = struct.unpack_from(">H", file, len(_MAGIC))[0]
    return size if size in {2**power for power in range(9, 17)} else _DEFAULT_PAGE_SIZE


def _read_log(frames: bytes, size: int) -> dict[int, bytes]:
    """The newest version of each page that was committed to the log, up to the first frame that is not whole."""
    if len(frames) < _LOG_HEADER:
        return {}
    # The lowest bit of the magic number says in which order the bytes of a word were summed.
    order = ">" if frames[3] & 1 else "<"
    salts = frames[16:24]
    sums = _sum(order, frames[:24], (0, 0))
    committed: dict[int, bytes] = {}
    pending: dict[int, bytes] = {}
    for start in range(_LOG_HEADER, len(frames) - _FRAME_HEADER - size + 1, _FRAME_HEADER + size):
        header = frames[start : start + _FRAME_HEADER]
        page = frames[start + _FRAME_HEADER : start + _FRAME_HEADER + size]
        sums = _sum(order, page, _sum(order, header[:8], sums))
        if header[8:16] != salts or struct.unpack(">II", header[16:]) != sums:
            break
        number, pages_after_commit = struct.unpack_from(">II", header)
        pending[number] = page
        if pages_after_commit:
            committed |= pending
            pending.clear()
    return committed


def _sum(order: str, content: bytes, sums: tuple[int, int]) -> tuple[int, int]:
    """The log's checksum (section 4.2), carried on over so many bytes more."""
    first, second = sums
    for one, other in struct.iter_unpack(f"{order}II", content):
        first = (first + one + second) & 0xFFFFFFFF
        second = (second + other + first) & 0xFFFFFFFF
    return first, second


def _read_leaf(pages: dict[int, bytes], number: int, size: int) -> Iterator[Row]:
    """The rows on one page (section 1.6); none where it is no leaf of a table."""
    page = pages[number]
    start = FILE_HEADER if number == 1 else 0
    if page[start] != _LEAF:
        return
    [count] = struct.unpack_from(">H", page, start + 3)
    for index in range(min(count, size // 4)):
        try:
            [place] = struct.unpack_from(">H", page, start + 8 + 2 * index)
            length, place = _read_varint(page, place)
            rowid, place = _read_varint(page, place)
            yield rowid, _read_record(_read_payload(pages, page[place:], length, size))
        except _NOT_READABLE:
            continue


def _read_payload(pages: dict[int, bytes], cell: bytes, length: int, size: int) -> bytes:
    """The bytes of a row, gathered from the pages onto which it flows over where it is long."""
    most, least = size - 35, (size - 12) * 32 // 255 - 23
    if length <= most:
        return _take(cell, length)
    if length > len(pages) * size:
        raise ValueError(length)
    here = least + (length - least) % (size - 4)
    here = here if here <= most else least
    payload, [following] = cell[:here], struct.unpack_from(">I", cell, here)
    while len(payload) < length:
        page = pages[following]
        payload += page[4 : 4 + length - len(payload)]
        [following] = struct.unpack_from(">I", page)
    return payload


def _read_record(payload: bytes) -> tuple[Value, ...]:
    """The values of a row (section 2.1)."""
    end, place = _read_varint(payload, 0)
    kinds = []
    while place < end:
        kind, place = _read_varint(payload, place)
        kinds.append(kind)
    values = []
    for kind in kinds:
        width = _WIDTHS.get(kind, 8 if kind == 7 else max(0, (kind - 12) // 2))
        values.append(_read_value(kind, _take(payload[place:], width)))
        place += width
    return tuple(values)


def _read_value(kind: int, content: bytes) -> Value:
    if kind >= 12:
        return content.decode() if kind % 2 else content
    if kind in _WIDTHS:
        return int.from_bytes(content, signed=True)
    if kind == 7:
        return float(struct.unpack(">d", content)[0])
    return {8: 0, 9: 1}.get(kind)


def _read_varint(content: bytes, place: int) -> tuple[int, int]:
    """A number of one to nine bytes, and the place behind it."""
    number = 0
    for count in range(8):
        byte = content[place + count]
        number = number << 7 | byte & 0x7F
        if byte < 0x80:
            return number, place + count + 1
    return number << 8 | content[place + 8], place + 9


def _take(content: bytes, width: int) -> bytes:
    if len(content) < width:
        raise ValueError(width)
    return content[:width]
