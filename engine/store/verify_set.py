"""Checks one sample set against its manifest: its place in the store, its files, and every row of its samples."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeGuard

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from engine.domain.model import digest_text
from engine.domain.samples import REJECTED_SCHEMA, SAMPLE_SCHEMA, make_id
from engine.errors import StoreError
from engine.store.layout import (
    DETACHED,
    MANIFEST,
    MANIFESTS,
    NEWER_NAMES,
    OLDER_MANIFEST,
    REJECTED,
    RUN_FOLDER,
    SAMPLES,
    name_file,
)
from engine.store.sample_set import read_manifest
from engine.system.filesystem import list_below
from engine.text.formatting import count_noun

CHUNK_BYTES = 1024 * 1024
BATCH_ROWS = 10_000
WHOLE_BYTES = 16 * 1024 * 1024
BUFFER_BYTES = 256 * 1024
STATUSES = {"attached": SAMPLES, "detached": DETACHED, "rejected": None}
CHECKED_COLUMNS = ["id", "trait", "text", "quality", "pole", "provenance", "run_id", "content_sha256"]
QUALITIES = {"positive": 1.0, "negative": 0.0}

DEBRIS = "The next run of this model removes it, unless the run that writes it is still running"
RESTORE = "Restore it from a copy, or make the set again with `exemplars replay {run_id} --to FOLDER`"
FINISH = "`exemplars verify --migrate` finishes the move"
LOST = (
    "Restore it from a copy, or move the set's folder out of the store: until then no run can use the model. The set "
    "cannot be made again, since its manifest says what it was made from"
)
REMOVE = "Remove it: no run wrote it here"
# What is wrong, the name of the file in the set, and what to do, where {run_id} stands for the set's run id.
FoundFault = tuple[str, str, str]


@dataclass(slots=True)
class SetFacts:
    """The result of checking one set; ``ids`` are the ids of its samples, ``is_older`` says that it is to be moved."""

    status: str = ""
    is_older: bool = False
    faults: list[FoundFault] = field(default_factory=list)
    ids: "np.ndarray[Any, np.dtype[np.int64]]" = field(default_factory=lambda: np.empty(0, np.int64))
    size_bytes: int = 0


def check_set(filesystem: fs.FileSystem, place: str, path: str) -> SetFacts:
    """Checks everything about a set that can be checked without its model. Memory use is 8 bytes for each row.

    Args:
        place: the set's folder or URI, as people write it.
        path: the same folder as a path within ``filesystem``.
    """
    facts = SetFacts()
    infos = filesystem.get_file_info([f"{path}/{name}" for name in MANIFESTS])
    there = [name for name, info in zip(MANIFESTS, infos, strict=True) if info.type == fs.FileType.File]
    name = there[0] if there else MANIFEST
    facts.is_older = name == OLDER_MANIFEST
    try:
        manifest = read_manifest(place)
    except StoreError as error:
        facts.faults.append((_shorten(error), name, LOST))
        return facts
    if manifest is None:
        if filesystem.get_file_info(path).type != fs.FileType.NotFound:
            facts.faults.append(("a set without a manifest, so debris", "", DEBRIS))
        return facts
    facts.status = str(manifest.get("status"))
    facts.faults += ((what, name, fix) for what, fix in _check_place(manifest, place))
    files, counts = manifest.get("files"), manifest.get("counts")
    if facts.status not in STATUSES or not _is_nested(files) or not _is_nested(counts):
        facts.faults.append(("a manifest that does not say what the set is", name, "Restore it from a copy"))
        return facts
    facts.faults += _check_listing(filesystem, path, manifest, name)
    facts.faults += _check_files(filesystem, path, files, facts)
    _check_tables(filesystem, path, place, manifest, facts)
    return facts


def digest_file(filesystem: fs.FileSystem, path: str) -> tuple[str, int]:
    """The SHA-256 of a file and its size in bytes.

    Raises:
        OSError, pa.ArrowException: it cannot be read; FileNotFoundError where there is none.
    """
    digest, size = hashlib.sha256(), 0
    with filesystem.open_input_stream(path, compression=None) as stream:
        while chunk := stream.read(CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
    return digest.hexdigest(), size


def _check_place(manifest: Mapping[str, Any], place: str) -> Iterator[tuple[str, str]]:
    for name, stands in _read_place(place).items():
        if manifest.get(name) != stands:
            said = f"{name} is {manifest.get(name)!r}, but the folder says {stands!r}"
            yield said, "Move the folder to the place that its manifest says"


def _read_place(place: str) -> dict[str, str]:
    """Handle, pool and run id, taken from the path of a set's folder."""
    values = [part.partition("=")[2] for part in place.split("/")[-3:]]
    return dict(zip(("handle", "pool", "run_id"), values, strict=True))


def _is_nested(value: object) -> TypeGuard[dict[str, dict[str, Any]]]:
    return isinstance(value, dict) and all(isinstance(entry, dict) for entry in value.values())


def _check_listing(
    filesystem: fs.FileSystem, path: str, manifest: Mapping[str, Any], manifest_name: str
) -> Iterator[FoundFault]:
    infos = list_below(filesystem, path, recursive=True)
    there = {info.path.removeprefix(f"{path}/") for info in infos if info.type == fs.FileType.File}
    status, files = manifest["status"], manifest["files"]
    samples = STATUSES[status]
    if samples is not None and name_file(manifest, samples) not in files:
        yield "the manifest names no samples, but a set of this status has some", manifest_name, RESTORE
    if samples != SAMPLES and SAMPLES in there:
        yield f"samples of a set that is {status}", SAMPLES, REMOVE
    for name in sorted(there - {manifest_name, SAMPLES, *files}):
        if name in NEWER_NAMES or (manifest_name == OLDER_MANIFEST and name.startswith(f"{RUN_FOLDER}/")):
            yield "left by a move to the new layout that did not end", name, FINISH
        else:
            yield "a file that the manifest does not name", name, REMOVE


def _check_files(
    filesystem: fs.FileSystem, path: str, files: Mapping[str, Any], facts: SetFacts
) -> Iterator[FoundFault]:
    for name, entry in files.items():
        try:
            digest, size = digest_file(filesystem, f"{path}/{name}")
        except FileNotFoundError:
            yield "a file that is missing", name, RESTORE
            continue
        except (OSError, pa.ArrowException) as error:
            yield f"a file that cannot be read: {error}", name, RESTORE
            continue
        facts.size_bytes += size
        if (size, digest) != (entry.get("bytes"), entry.get("sha256")):
            said = (
                f"{size} bytes, but the manifest says {entry.get('bytes')}"
                if size != entry.get("bytes")
                else "other bytes of the same length"
            )
            yield f"a file that was altered: {said}", name, RESTORE


def _check_tables(
    filesystem: fs.FileSystem, path: str, place: str, manifest: Mapping[str, Any], facts: SetFacts
) -> None:
    broken = {name for _, name, _ in facts.faults}
    for newer, schema in ((SAMPLES, SAMPLE_SCHEMA), (DETACHED, SAMPLE_SCHEMA), (REJECTED, REJECTED_SCHEMA)):
        name = name_file(manifest, newer)
        entry = manifest["files"].get(name)
        if entry is None or name in broken:
            continue
        try:
            with (
                _open_file(filesystem, f"{path}/{name}") as source,
                pq.ParquetFile(
                    source, buffer_size=BUFFER_BYTES, pre_buffer=False, page_checksum_verification=True
                ) as parquet,
            ):
                facts.faults += [(what, name, RESTORE) for what in _check_table(parquet, schema, entry)]
                if schema is SAMPLE_SCHEMA and parquet.schema_arrow.equals(schema):
                    rows = RowChecker(manifest, place)
                    facts.faults += [(what, name, RESTORE) for what in rows.check(parquet)]
                    facts.ids = rows.ids
        except (OSError, pa.ArrowException) as error:
            facts.faults.append((f"Parquet that cannot be read: {error}", name, RESTORE))


def _open_file(filesystem: fs.FileSystem, path: str) -> pa.NativeFile:
    """Opens a file, and reads a small one whole: else each column of each row group is a request to an object store."""
    source = filesystem.open_input_file(path)
    if source.size() > WHOLE_BYTES:
        return source
    with source:
        return pa.BufferReader(source.read_buffer())


def _check_table(parquet: pq.ParquetFile, schema: pa.Schema, entry: Mapping[str, Any]) -> Iterator[str]:
    if not parquet.schema_arrow.equals(schema):
        yield "columns that are not those of the store"
    if parquet.metadata.num_rows != entry.get("rows"):
        yield f"{parquet.metadata.num_rows} rows, but the manifest says {entry.get('rows')}"


class RowChecker:
    """Checks the rows of one set batch by batch: each row by itself, then their counts and digest."""

    def __init__(self, manifest: Mapping[str, Any], place: str) -> None:
        self._manifest = manifest
        self._place = _read_place(place)
        self._wrong: Counter[str] = Counter()
        self._counts: Counter[tuple[str, str]] = Counter()
        self._digest = hashlib.sha256()
        self._parts: list[np.ndarray[Any, np.dtype[np.int64]]] = []

    @property
    def ids(self) -> "np.ndarray[Any, np.dtype[np.int64]]":
        """The ids of all rows that were checked, in order."""
        return np.concatenate(self._parts) if self._parts else np.empty(0, np.int64)

    def check(self, parquet: pq.ParquetFile) -> Iterator[str]:
        """Describes each kind of fault, with the number of rows that have it."""
        for batch in parquet.iter_batches(BATCH_ROWS, columns=CHECKED_COLUMNS, use_threads=False):
            self._check_batch(batch.to_pydict())
        for what, count in self._wrong.items():
            yield f"{what}, in {count_noun(count, 'row')}"
        expected = {
            (trait, pole): count
            for trait, poles in self._manifest["counts"].items()
            for pole, count in poles.items()
            if count
        }
        if expected != dict(self._counts):
            yield "counts of traits and poles that differ from the manifest's"
        if self._digest.hexdigest() != self._manifest.get("rows_sha256"):
            yield "other rows, or another order of rows, than the manifest says (rows_sha256)"

    def _check_batch(self, columns: Mapping[str, list[Any]]) -> None:
        text = "\n".join(map(str, columns["id"]))
        self._digest.update(f"\n{text}".encode() if self._parts else text.encode())
        self._parts.append(np.array(columns["id"], np.int64))
        self._counts.update(zip(columns["trait"], columns["pole"], strict=True))
        for row in zip(*(columns[name] for name in CHECKED_COLUMNS), strict=True):
            self._wrong.update(self._check_row(*row))

    def _check_row(
        self, number: int, trait: str, text: str, quality: float, pole: str, provenance: str, run_id: str, digest: str
    ) -> Iterator[str]:
        if number != make_id(self._place["handle"], trait, text):
            yield "an id that does not match handle, trait and text"
        if digest != digest_text(text):
            yield "a content_sha256 that does not match the text"
        if quality != QUALITIES.get(pole):
            yield "a quality that does not match the pole"
        if (provenance, run_id) != ("synthesized", self._place["run_id"]):
            yield "a provenance or run id that does not match the set"


def _shorten(error: Exception) -> str:
    return str(error).partition(" cannot be read: ")[2].partition(". `exemplars")[0] or str(error)
