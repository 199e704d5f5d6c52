"""The hashes of a set's texts: in the set or, where that was altered since, made once and kept below the cache folder.

Hashes are never trusted for what they say they are: their digest is that of the sealed manifest or, in the cache, part
of the file's name, and their columns and version are those of this code. A run writes into no other run's set.
"""

import hashlib
import io
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from engine.errors import StoreError
from engine.system.filesystem import open_folder, read_bytes, write_whole
from engine.text.formatting import count_noun
from engine.text.signatures import HASHES_VERSION, HashColumn, HashKind, make_hash_table

LOGGER = logging.getLogger("exemplars.store")
GROUP_ROWS = 65_536
FOLDER = "hashes"
# No run takes longer.
SPARED = timedelta(days=2)
# Reasons that are shown for one set each; of more sets the rest is counted.
SHOWN_SETS = 3


@dataclass(frozen=True, slots=True)
class HashedSet:
    """A set whose hashes are wanted.

    Args:
        run_id: the run that left it.
        rows: the number of its samples.
        digest: the SHA-256 of its samples as they lie in the store.
        walk_texts: yields its texts in parts, in order.
        stored: the path or URI and the SHA-256 of the hashes that its manifest names, by kind; None where its samples
            were altered since, of which these say nothing.
        is_remote: whether the set lies in an object store, from which the hashes are fetched once.
    """

    run_id: str
    rows: int
    digest: Callable[[], str]
    walk_texts: Callable[[], Iterator[Sequence[str]]]
    stored: Mapping[str, tuple[str, str]] | None
    is_remote: bool = False


# A file on this disk, or its content where there is no cache folder.
Hashes = str | bytes


def render_hashes(parts: Iterable[Sequence[str]], kind: HashKind) -> bytes:
    """The bytes of the file with the hashes of a set's texts, which come in parts."""
    stream = io.BytesIO()
    with pq.ParquetWriter(
        stream,
        kind.schema,
        compression="NONE",
        use_dictionary=False,
        write_statistics=False,
        write_page_checksum=True,
    ) as writer:
        for part in parts:
            writer.write_table(make_hash_table(part, kind), row_group_size=GROUP_ROWS)
    return stream.getvalue()


def find_hashes(sets: Sequence[HashedSet], kind: HashKind, cache: Path | None) -> list[Hashes]:
    """The hashes of each set; those that cannot be trusted are made anew, which one line of the log says.

    Args:
        cache: the folder that keeps those that were made; None keeps none.
    """
    made: list[str] = []
    found = [_find(item, kind, cache, made) for item in sets]
    if made:
        shown = "; ".join(made[:SHOWN_SETS])
        rest = f"; and {len(made) - SHOWN_SETS} more" if len(made) > SHOWN_SETS else ""
        LOGGER.warning("Made the hashes of %s (%s) anew: %s%s", count_noun(len(made), "set"), kind.name, shown, rest)
    return found


def walk_hashes(hashes: Hashes, column: HashColumn) -> Iterator[pa.Array]:
    """Yields a column of hashes in parts."""
    source = pa.BufferReader(hashes) if isinstance(hashes, bytes) else hashes
    with pq.ParquetFile(source, pre_buffer=False, page_checksum_verification=True) as parquet:
        for group in range(parquet.num_row_groups):
            yield from parquet.read_row_group(group, columns=[column], use_threads=False)[column].chunks


def mark_used(path: Path) -> None:
    """Notes that a file in the cache folder is in use, so that ``prune_hashes`` spares it.

    Raises:
        FileNotFoundError: it was removed meanwhile.
    """
    try:
        os.utime(path)
    except FileNotFoundError:
        raise
    except OSError:
        # A cache that may only be read is of use all the same.
        return


def prune_hashes(cache: Path, days: float, now: datetime) -> None:
    """Removes what the cache folder keeps of sets and nobody has used for so many days; what cannot be removed stays.

    What was used in the last two days stays too, since a run may still read it.
    """
    oldest = (now - max(timedelta(days=days), SPARED)).timestamp()
    for path in (cache / FOLDER).glob("*"):
        with suppress(OSError):
            if path.stat().st_mtime < oldest:
                path.unlink()


def _find(item: HashedSet, kind: HashKind, cache: Path | None, made: list[str]) -> Hashes:
    """The hashes of one set; where they are made now, ``made`` gets the reason."""
    hashes, why = (None, "") if item.is_remote else _find_stored(item, kind)
    if hashes is not None:
        return hashes
    digest = item.digest()
    if kept := _find_kept(digest, kind, item.rows, cache):
        return kept
    if item.is_remote:
        hashes, why = _find_stored(item, kind)
    if hashes is None:
        made.append(f"run {item.run_id}: {why}")
        hashes = render_hashes(item.walk_texts(), kind)
    return _keep(hashes, digest, kind, cache)


def _find_stored(item: HashedSet, kind: HashKind) -> tuple[Hashes | None, str]:
    """The hashes in the set itself, or why there are none that can be trusted."""
    if item.stored is None:
        return None, "its samples were altered since they were written"
    uri, expected = item.stored[kind.name]
    try:
        hashes: Hashes = read_bytes(uri) if item.is_remote else open_folder(uri)[1]
        if _digest(hashes) != expected:
            return None, "its own were altered since they were written"
    except (OSError, StoreError):
        return None, "its own cannot be read"
    return (hashes, "") if _fits(hashes, kind, item.rows) else (None, "its own are not made as this version makes them")


def _find_kept(digest: str, kind: HashKind, rows: int, cache: Path | None) -> Hashes | None:
    if cache is None:
        return None
    for path in (cache / FOLDER).glob(f"{_name(digest, kind)}-*.pq"):
        # Another run may just have removed it.
        with suppress(FileNotFoundError):
            if path.stem.endswith(f"-{_digest(str(path))}") and _fits(str(path), kind, rows):
                mark_used(path)
                return str(path)
        path.unlink(missing_ok=True)
    return None


def _keep(hashes: Hashes, digest: str, kind: HashKind, cache: Path | None) -> Hashes:
    """Puts hashes into the cache; where its disk takes none, they are kept in memory."""
    if cache is None or isinstance(hashes, str):
        return hashes
    path = cache / FOLDER / f"{_name(digest, kind)}-{_digest(hashes)}.pq"
    try:
        write_whole(fs.LocalFileSystem(), str(path), hashes)
    except OSError as error:
        LOGGER.warning("The hashes of a set cannot be kept in %s: %s", path.parent, error)
        return hashes
    return str(path)


def _name(digest: str, kind: HashKind) -> str:
    return f"{digest}-{kind.name}-{HASHES_VERSION}"


def _fits(hashes: Hashes, kind: HashKind, rows: int) -> bool:
    """Whether a file has the columns and the algorithm of a kind, and a row for each sample."""
    try:
        with pq.ParquetFile(pa.BufferReader(hashes) if isinstance(hashes, bytes) else hashes) as parquet:
            found, rows_found = parquet.schema_arrow, parquet.metadata.num_rows
    except (OSError, pa.ArrowException):
        return False
    # Not ``check_metadata``, which compares the name of a list's field too: Parquet has one of its own for it.
    return bool(found.equals(kind.schema)) and found.metadata == kind.schema.metadata and rows_found == rows


def _digest(hashes: Hashes) -> str:
    if isinstance(hashes, bytes):
        return hashlib.sha256(hashes).hexdigest()
    with Path(hashes).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
