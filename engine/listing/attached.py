"""Reads attached samples from the store row by row, in the order in which their sets were attached.

The modification time of its manifest says when a set was attached. ``created_at`` cannot: it says when the run was due,
and a run that waited or was retried was due before runs that attached their sets earlier. Two sets with the same time
(possible within one second on an object store, never on a local disk) are ordered by run id.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import fs

from engine.errors import StoreError
from engine.listing.page import AttachedPosition, ListedSample, SampleCount
from engine.store.layout import MANIFEST, MANIFESTS, SAMPLES
from engine.store.sample_set import read_manifest
from engine.store.store import locate_pool
from engine.system.filesystem import list_below, open_folder

COLUMNS = ["id", "trait", "text", "quality", "provenance", "content_sha256", "created_at"]
BATCH_ROWS = 512
# Rows are converted to Python values in smaller parts: this is most of the cost, and a page may end early in a batch.
PART_ROWS = 64
BUFFER_BYTES = 64 * 1024
FOUND_ROWS = 65_536
PREFIX = "run="
T = TypeVar("T")


@dataclass(frozen=True, slots=True, order=True)
class AttachedSet:
    """A set with a manifest, attached or not; sets sort in the order of their attachment."""

    attached_ns: int
    run_id: str
    folder: str
    manifest_bytes: int


def walk_attached(
    samples_uri: str, handle: str, trait_key: str | None, start: AttachedPosition
) -> Iterator[tuple[AttachedPosition, ListedSample]]:
    """Yields the attached samples of a model, or of one trait, from a position on, each with its position.

    A set that is removed in the meantime is skipped; the listing continues with the next set.

    Raises:
        StoreError: a set cannot be read.
    """
    for item in list_attached(samples_uri, handle):
        if (item.attached_ns, item.run_id) < (start.attached_ns, start.run_id):
            continue
        counts = _read_counts(item.folder, (item.attached_ns, item.manifest_bytes))
        if not counts or (trait_key is not None and trait_key not in counts):
            continue
        first = start.row if (item.attached_ns, item.run_id) == (start.attached_ns, start.run_id) else 0
        for row, entry in _walk_set(item.folder, trait_key, first):
            yield AttachedPosition(item.attached_ns, item.run_id, row), ListedSample(**entry, source_url=None)


def find_attached(samples_uri: str, handle: str, ids: Collection[int]) -> dict[int, set[float]]:
    """The qualities that attached samples of a model have by their ids; of the given ids alone.

    Raises:
        StoreError: a set cannot be read.
    """
    wanted = pa.array(ids, pa.int64())
    found: defaultdict[int, set[float]] = defaultdict(set)
    for item in list_attached(samples_uri, handle):
        if _read_counts(item.folder, (item.attached_ns, item.manifest_bytes)):
            for batch in _read_set(item.folder, _walk_qualities):
                for row in batch.filter(pc.is_in(batch["id"], wanted)).to_pylist():
                    found[row["id"]].add(row["quality"])
    return dict(found)


def count_attached(samples_uri: str, handle: str) -> dict[str, SampleCount]:
    """The number of attached samples of each trait that has any, by trait key, from the manifests.

    Raises:
        StoreError: a folder or manifest cannot be read.
    """
    counts: dict[str, SampleCount] = defaultdict(SampleCount)
    for item in list_attached(samples_uri, handle):
        for trait, count in (_read_counts(item.folder, (item.attached_ns, item.manifest_bytes)) or {}).items():
            counts[trait] += count
    return dict(counts)


def list_attached(samples_uri: str, handle: str) -> list[AttachedSet]:
    """The sets of a model's samples that have a manifest, in the order in which they were attached.

    Raises:
        StoreError: the folder cannot be listed.
    """
    parent = locate_pool(samples_uri, handle, "train")
    filesystem, path = open_folder(parent)
    try:
        found = find_manifests(filesystem, path)
    except (OSError, pa.ArrowException) as error:
        raise StoreError(f"The sample store {parent} cannot be listed: {error}") from error
    return sorted(
        AttachedSet(moment, name.removeprefix(PREFIX), f"{parent}/{name}", size)
        for name, (moment, size) in found.items()
        if name.startswith(PREFIX)
    )


def find_manifests(filesystem: fs.FileSystem, path: str) -> dict[str, tuple[int, int]]:
    """The folders directly below a path that hold a manifest: its modification time in nanoseconds and size by name.

    On a local disk each manifest is looked up by name. An object store lists the whole tree, 1,000 files a request.
    """
    is_local = isinstance(filesystem, fs.LocalFileSystem)
    infos = list_below(filesystem, path, recursive=not is_local)
    found: dict[str, tuple[int, int]] = {}
    # A set may move to this version's layout between the first two rounds.
    for name in (*MANIFESTS, MANIFEST):
        if is_local:
            missing = [info.path for info in infos if info.base_name not in found]
            entries = filesystem.get_file_info([f"{folder}/{name}" for folder in missing])
        else:
            entries = infos
        for info in entries:
            folder, _, rest = info.path.removeprefix(f"{path}/").partition("/")
            if rest == name and info.type == fs.FileType.File:
                found.setdefault(folder, _make_version(info))
    return found


# Safe to cache: a manifest is never changed in place. One that replaces it, as when its set is detached, has another
# time or, within one second on an object store, another size.
@lru_cache(maxsize=16_384)
def _read_counts(folder: str, version: tuple[int, int]) -> Mapping[str, SampleCount] | None:
    """The samples of each trait in a set; None if it is not attached, or its manifest is no longer of that version."""
    manifest = read_manifest(folder)
    if manifest is None or manifest.get("status") != "attached" or _read_version(folder) != version:
        return None
    try:
        return {
            trait: SampleCount(poles["positive"] + poles["negative"], poles["positive"], poles["negative"])
            for trait, poles in manifest["counts"].items()
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise StoreError(f"The manifest of {folder} has no counts of its samples") from error


def _read_version(folder: str) -> tuple[int, int]:
    filesystem, path = open_folder(folder)
    infos = filesystem.get_file_info([f"{path}/{name}" for name in MANIFESTS])
    return next((_make_version(info) for info in infos if info.type == fs.FileType.File), (0, 0))


def _make_version(info: fs.FileInfo) -> tuple[int, int]:
    """A file's modification time in nanoseconds and its size in bytes, each 0 where unknown."""
    return info.mtime_ns or 0, info.size or 0


def _walk_set(folder: str, trait_key: str | None, first: int) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yields the rows of a set from row ``first`` on, each with its number; only those of a trait if one is given."""
    yield from _read_set(folder, lambda parquet: _walk_groups(parquet, trait_key, first))


def _read_set(folder: str, walk: Callable[[pq.ParquetFile], Iterator[T]]) -> Iterator[T]:
    """Yields what ``walk`` does of the samples of a set, nothing more where the set is removed in the meantime."""
    filesystem, path = open_folder(f"{folder}/{SAMPLES}")
    try:
        with (
            filesystem.open_input_file(path) as source,
            # Without a buffer, a column of a whole row group would be read at once.
            pq.ParquetFile(
                source, buffer_size=BUFFER_BYTES, pre_buffer=False, page_checksum_verification=True
            ) as parquet,
        ):
            yield from walk(parquet)
    except (OSError, pa.ArrowException) as error:
        if isinstance(error, FileNotFoundError) and read_manifest(folder) is None:
            return
        raise StoreError(f"The sample set {folder} cannot be read: {error}") from error


def _walk_qualities(parquet: pq.ParquetFile) -> Iterator[pa.RecordBatch]:
    return parquet.iter_batches(FOUND_ROWS, columns=["id", "quality"], use_threads=False)  # type: ignore[no-any-return]


def _walk_groups(parquet: pq.ParquetFile, trait_key: str | None, first: int) -> Iterator[tuple[int, dict[str, Any]]]:
    begins = 0
    for number in range(parquet.num_row_groups):
        group = parquet.metadata.row_group(number)
        if begins + group.num_rows > first and _may_hold(group, trait_key):
            yield from _walk_group(parquet, number, begins, trait_key, first)
        begins += group.num_rows


def _walk_group(
    parquet: pq.ParquetFile, number: int, begins: int, trait_key: str | None, first: int
) -> Iterator[tuple[int, dict[str, Any]]]:
    for batch in parquet.iter_batches(BATCH_ROWS, row_groups=[number], columns=COLUMNS, use_threads=False):
        rows = pa.array(range(begins, begins + batch.num_rows))
        wanted = pc.greater_equal(rows, first)
        if trait_key is not None:
            wanted = pc.and_(wanted, pc.equal(batch["trait"], trait_key))
        found = batch.filter(wanted)
        numbers = rows.filter(wanted)
        for start in range(0, found.num_rows, PART_ROWS):
            part = slice(start, start + PART_ROWS)
            yield from zip(numbers[part].to_pylist(), found[part].to_pylist(), strict=True)
        begins += batch.num_rows


def _may_hold(group: pq.RowGroupMetaData, trait_key: str | None) -> bool:
    """Whether a row group may hold rows of the trait, by the minimum and maximum of its trait column."""
    column = next(
        group.column(index) for index in range(group.num_columns) if group.column(index).path_in_schema == "trait"
    )
    if trait_key is None or not column.is_stats_set or not column.statistics.has_min_max:
        return True
    return bool(column.statistics.min <= trait_key <= column.statistics.max)
