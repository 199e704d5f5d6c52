"""Reads attached samples from the store row by row, in the order in which their sets were attached.

The modification time of its manifest says when a set was attached. ``created_at`` cannot: it says when the run was due,
and a run that waited or was retried was due before runs that attached their sets earlier. Two sets with the same time
(possible within one second on an object store, never on a local disk) are ordered by run id.

Samples may be removed from a set meanwhile. It keeps its place: on a local disk its manifest keeps its time, on an
object store the manifest names it. A row keeps the number that it had when its set was attached.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import fs

from engine.errors import StoreError
from engine.listing.page import AttachedPosition, ListedSample, SampleCount
from engine.store.layout import ATTACHED_NS, MANIFEST, NEXT_MANIFEST, SAMPLES
from engine.store.sample_set import read_manifest, read_manifest_file
from engine.store.set_versions import Positions, list_removals, number_rows
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
# What is yielded of a file's rows from one on, each with its number in the file.
Walk = Callable[[pq.ParquetFile, int], Iterator[tuple[int, T]]]
# How often a set may get another version while it is read.
TRIES = 10


@dataclass(frozen=True, slots=True, order=True)
class AttachedSet:
    """A set with a manifest, attached or not; sets sort in the order of their attachment."""

    attached_ns: int
    run_id: str
    folder: str
    version: tuple[int, int]


@dataclass(frozen=True, slots=True)
class SetVersion:
    """What a listing needs of an attached set's manifest.

    ``rows`` is None in one that was made by hand. ``removals`` are those of ``number_rows``.
    """

    counts: Mapping[str, SampleCount]
    rows: int | None
    attached_ns: int | None
    removals: Sequence[Mapping[str, Any]]

    def number_rows(self, count: int) -> Sequence[int] | Positions:
        """The number that each of ``count`` rows had when the set was attached."""
        return number_rows({"removals": self.removals}, count) if self.removals else range(count)


class _ChangedError(Exception):
    """The set has another version than the one that was looked for."""


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
        version = _find_version(item)
        if version is None or not version.counts or (trait_key is not None and trait_key not in version.counts):
            continue
        first = start.row if (item.attached_ns, item.run_id) == (start.attached_ns, start.run_id) else 0
        for row, entry in _walk_set(item, version, first, partial(_walk_groups, trait_key)):
            yield AttachedPosition(item.attached_ns, item.run_id, row), ListedSample(**entry, source_url=None)


def find_attached(samples_uri: str, handle: str, ids: Collection[int]) -> dict[int, set[float]]:
    """The qualities that attached samples of a model have by their ids; of the given ids alone.

    Raises:
        StoreError: a set cannot be read.
    """
    wanted = pa.array(ids, pa.int64())
    found: defaultdict[int, set[float]] = defaultdict(set)
    for item in list_attached(samples_uri, handle):
        if version := _find_version(item):
            for _, (known, quality) in _walk_set(item, version, 0, partial(_walk_wanted, wanted)):
                found[known].add(quality)
    return dict(found)


def count_attached(samples_uri: str, handle: str) -> dict[str, SampleCount]:
    """The number of attached samples of each trait that has any, by trait key, from the manifests.

    Raises:
        StoreError: a folder or manifest cannot be read.
    """
    counts: dict[str, SampleCount] = defaultdict(SampleCount)
    for item in list_attached(samples_uri, handle):
        version = _find_version(item)
        for trait, count in (version.counts if version else {}).items():
            if count.sample_count:
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
    sets = [
        AttachedSet(moment, name.removeprefix(PREFIX), f"{parent}/{name}", (moment, size))
        for name, (moment, size) in found.items()
        if name.startswith(PREFIX)
    ]
    if not isinstance(filesystem, fs.LocalFileSystem):
        sets = [_place_by_manifest(item) for item in sets]
    return sorted(sets)


def find_manifests(filesystem: fs.FileSystem, path: str) -> dict[str, tuple[int, int]]:
    """The folders directly below a path that hold a manifest: its modification time in nanoseconds and size by name.

    On a local disk each manifest is looked up by name. An object store lists the whole tree, 1,000 files a request.
    """
    is_local = isinstance(filesystem, fs.LocalFileSystem)
    infos = list_below(filesystem, path, recursive=not is_local)
    if is_local:
        infos = filesystem.get_file_info([f"{info.path}/{MANIFEST}" for info in infos])
    found: dict[str, tuple[int, int]] = {}
    for info in infos:
        folder, _, rest = info.path.removeprefix(f"{path}/").partition("/")
        if rest == MANIFEST and info.type == fs.FileType.File:
            found[folder] = _make_version(info)
    return found


def _place_by_manifest(item: AttachedSet) -> AttachedSet:
    """The set with the time of attachment that its manifest names, if any; it is read once for each version."""
    version = _find_version(item)
    attached_ns = version.attached_ns if version else None
    return item if attached_ns is None else replace(item, attached_ns=attached_ns)


def _find_version(item: AttachedSet) -> SetVersion | None:
    """The version that a set has now; None if it is not attached, or gone.

    Raises:
        StoreError: the manifest cannot be read.
    """
    version = item.version
    for _ in range(TRIES):
        with suppress(_ChangedError):
            return _read_manifest(item.folder, version)
        version = _read_version(item.folder)
    raise StoreError(f"{item.folder} changes faster than it can be read")


# Safe to cache: a manifest is never changed in place, and one that replaces it has another time or another size. A
# removal keeps the time on a local disk, and always adds more than it takes: an entry with two digests.
@lru_cache(maxsize=16_384)
def _read_manifest(folder: str, version: tuple[int, int]) -> SetVersion | None:
    """What a manifest of that version says; None if the set is not attached, or gone.

    Raises:
        _ChangedError: the manifest has another version.
        StoreError: it cannot be read.
    """
    try:
        manifest = read_manifest(folder)
    except StoreError:
        # Of an object store the begin of one version may be read with the end of another.
        if _read_version(folder) != version:
            raise _ChangedError from None
        raise
    if manifest is not None and _read_version(folder) != version:
        raise _ChangedError
    return None if manifest is None or manifest.get("status") != "attached" else _describe(folder, manifest)


def _describe(folder: str, manifest: Mapping[str, Any]) -> SetVersion:
    try:
        counts = {
            trait: SampleCount(poles["positive"] + poles["negative"], poles["positive"], poles["negative"])
            for trait, poles in manifest["counts"].items()
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise StoreError(f"The manifest of {folder} has no counts of its samples") from error
    rows = manifest.get("files", {}).get(SAMPLES, {}).get("rows")
    return SetVersion(counts, rows, manifest.get(ATTACHED_NS), list_removals(manifest))


def _read_version(folder: str) -> tuple[int, int]:
    filesystem, path = open_folder(folder)
    return _make_version(filesystem.get_file_info(f"{path}/{MANIFEST}"))


def _make_version(info: fs.FileInfo) -> tuple[int, int]:
    """A file's modification time in nanoseconds and its size in bytes, each 0 where unknown."""
    return info.mtime_ns or 0, info.size or 0


def _walk_set(item: AttachedSet, version: SetVersion, first: int, walk: Walk[T]) -> Iterator[tuple[int, T]]:
    """Yields what ``walk`` does of the rows of a set from row ``first`` on, each with its number.

    If the set gets another version meanwhile, it goes on in that behind the last row.
    """
    for _ in range(TRIES):
        try:
            for number, entry in _walk_version(item.folder, version, first, walk):
                yield number, entry
                first = number + 1
            return
        except (OSError, pa.ArrowException, _ChangedError) as error:
            now = _find_version(replace(item, version=_read_version(item.folder)))
            if now is None and isinstance(error, FileNotFoundError | _ChangedError):
                return
            if now is None or (now == version and not isinstance(error, _ChangedError)):
                raise StoreError(f"The sample set {item.folder} cannot be read: {error}") from error
            version = now
    raise StoreError(f"The sample set {item.folder} has other samples than its manifest says: see `exemplars verify`")


def _walk_version(folder: str, version: SetVersion, first: int, walk: Walk[T]) -> Iterator[tuple[int, T]]:
    """Raises _ChangedError if the samples are those of another version, or in an object store become that meanwhile."""
    filesystem, path = open_folder(f"{folder}/{SAMPLES}")
    with filesystem.open_input_file(path) as source:
        try:
            yield from _walk_file(source, folder, version, first, walk)
        except (OSError, pa.ArrowException) as error:
            if filesystem.get_file_info(path).size != source.size():
                raise _ChangedError from error
            raise


def _walk_file(
    source: pa.NativeFile, folder: str, version: SetVersion, first: int, walk: Walk[T]
) -> Iterator[tuple[int, T]]:
    # Without a buffer, a column of a whole row group would be read at once.
    options = {"buffer_size": BUFFER_BYTES, "pre_buffer": False, "page_checksum_verification": True}
    with pq.ParquetFile(source, **options) as parquet:
        count = parquet.metadata.num_rows
        if version.rows not in (None, count):
            version = _read_next(folder, count)
        numbers = version.number_rows(count)
        for row, entry in walk(parquet, bisect_left(numbers, first)):
            yield int(numbers[row]), entry


def _read_next(folder: str, rows: int) -> SetVersion:
    """The version that a set in an object store is about to get, if it has so many rows: its manifest is put last.

    Raises:
        _ChangedError: there is none.
    """
    # It may be taken away while it is read: its version is then there in full.
    with suppress(StoreError):
        manifest = read_manifest_file(f"{folder}/{NEXT_MANIFEST}")
        if manifest and (version := _describe(folder, manifest)).rows == rows:
            return version
    raise _ChangedError


def _walk_wanted(wanted: pa.Array, parquet: pq.ParquetFile, first: int) -> Iterator[tuple[int, tuple[int, float]]]:
    """Yields the ids and qualities of those rows from ``first`` on whose ids are wanted."""
    begins = 0
    for batch in parquet.iter_batches(FOUND_ROWS, columns=["id", "quality"], use_threads=False):
        rows = pa.array(range(begins, begins + batch.num_rows))
        mask = pc.and_(pc.is_in(batch["id"], wanted), pc.greater_equal(rows, first))
        found = batch.filter(mask)
        columns = (rows.filter(mask), found["id"], found["quality"])
        yield from (
            (row, (known, quality)) for row, known, quality in zip(*map(pa.Array.to_pylist, columns), strict=True)
        )
        begins += batch.num_rows


def _walk_groups(trait_key: str | None, parquet: pq.ParquetFile, first: int) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yields the rows from ``first`` on; only those of a trait if one is given."""
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
