"""Checks one sample set against its manifest: its place in the store, its files, and every row of its samples."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import reduce
from typing import Any, TypeGuard

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import fs

from engine.domain.model import digest_text
from engine.domain.samples import REJECTED_SCHEMA, SAMPLE_SCHEMA, make_id
from engine.errors import StoreError
from engine.store.changes import is_removal_of
from engine.store.commit import is_attached
from engine.store.layout import (
    DECISIONS,
    DETACHED,
    MANIFEST,
    PROPOSED,
    REJECTED,
    SAMPLES,
)
from engine.store.sample_set import read_manifest
from engine.system.filesystem import is_part, list_below, open_whole
from engine.text.formatting import count_noun

CHUNK_BYTES = 1024 * 1024
BATCH_ROWS = 10_000
BUFFER_BYTES = 256 * 1024
STATUSES = {"attached": SAMPLES, "detached": DETACHED, "proposed": PROPOSED, "rejected": None}
CHECKED_COLUMNS = ["id", "trait", "text", "quality", "pole", "provenance", "run_id", "content_sha256"]
QUALITIES = {"positive": 1.0, "negative": 0.0}

DEBRIS = "The next run of this model removes it, unless the run that writes it is still running"
RESTORE = "Restore it from a copy, or take the set off its model with `exemplars detach {run_id}`"
LOST = (
    "Restore it from a copy, or move the set's folder out of the store: until then no run can use the model. The set "
    "cannot be made again, since its manifest says what it was made from"
)
FINISH = "The next run of this model finishes it, or takes it back"
REMOVE = "Remove it: no run wrote it here"
# What is wrong, the name of the file in the set, and what to do, where {run_id} stands for the set's run id.
FoundFault = tuple[str, str, str]
Ids = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(slots=True)
class SetFacts:
    """The result of checking one set; ``ids`` are the ids of its samples."""

    status: str = ""
    faults: list[FoundFault] = field(default_factory=list)
    ids: Ids = field(default_factory=lambda: np.empty(0, np.int64))
    size_bytes: int = 0


def check_set(filesystem: fs.FileSystem, place: str, path: str) -> SetFacts:
    """Checks everything about a set that can be checked without its model. Memory use is 8 bytes for each row.

    Args:
        place: the set's folder or URI, as people write it.
        path: the same folder as a path within ``filesystem``.
    """
    facts = SetFacts()
    infos = list_below(filesystem, path, recursive=True)
    there = {info.path.removeprefix(f"{path}/") for info in infos if info.type == fs.FileType.File}
    try:
        manifest = read_manifest(place)
    except StoreError as error:
        facts.faults.append((_shorten(error), MANIFEST, LOST))
        return facts
    if manifest is None:
        if filesystem.get_file_info(path).type != fs.FileType.NotFound:
            facts.faults.append(("a set without a manifest, so debris", "", DEBRIS))
        return facts
    facts.status = str(manifest.get("status"))
    owner = _read_place(place)
    for key, value in owner.items():
        if manifest.get(key) != value:
            said = f"{key} is {manifest.get(key)!r}, but the folder says {value!r}"
            facts.faults.append((said, MANIFEST, "Move the folder to the place that its manifest says"))
    if facts.status not in STATUSES or not _is_nested(manifest.get("files")) or not _is_nested(manifest.get("counts")):
        facts.faults.append(("a manifest that does not say what the set is", MANIFEST, "Restore it from a copy"))
        return facts
    facts.faults += _check_listing(there, manifest)
    # Rows are compared with the folder that they are in.
    manifest = {**manifest, **owner}
    in_doubt = {name for _, name, _ in facts.faults}
    for name, entry in manifest["files"].items():
        schema = None if name in in_doubt else _find_schema(manifest, name)
        found = _check_file(filesystem, f"{path}/{name}", entry, schema, manifest, facts)
        facts.faults += [(what, name, RESTORE) for what in found]
    return facts


def _read_place(place: str) -> dict[str, str]:
    """Handle, pool and run id, taken from the path of a set's folder."""
    values = [part.partition("=")[2] for part in place.split("/")[-3:]]
    return dict(zip(("handle", "pool", "run_id"), values, strict=True))


def _is_nested(value: object) -> TypeGuard[dict[str, dict[str, Any]]]:
    return isinstance(value, dict) and all(isinstance(entry, dict) for entry in value.values())


def _check_listing(there: set[str], manifest: Mapping[str, Any]) -> Iterator[FoundFault]:
    status, files = manifest["status"], manifest["files"]
    samples = STATUSES[status]
    began = {"detached": "a detach", "proposed": "an attach"}
    if samples is not None and samples not in files:
        yield "the manifest names no samples, but a set of this status has some", MANIFEST, RESTORE
    if samples != SAMPLES and SAMPLES in there and status in began:
        yield f"{began[status]} that did not end", SAMPLES, FINISH
    elif samples != SAMPLES and SAMPLES in there:
        yield f"samples of a set that is {status}", SAMPLES, REMOVE
    for name in sorted(there - {MANIFEST, SAMPLES, DECISIONS, *files}):
        if name == DETACHED and status == "attached":
            yield "a detach that did not end", name, FINISH
        elif not is_part(name):
            yield "a file that the manifest does not name", name, REMOVE


def _find_schema(manifest: Mapping[str, Any], name: str) -> pa.Schema | None:
    """The schema of a file that is a table; None of another file."""
    if name == (STATUSES[manifest["status"]] or SAMPLES):
        return SAMPLE_SCHEMA
    return REJECTED_SCHEMA if name == REJECTED else None


def _check_file(
    filesystem: fs.FileSystem,
    path: str,
    entry: Mapping[str, Any],
    schema: pa.Schema | None,
    manifest: Mapping[str, Any],
    facts: SetFacts,
) -> Iterator[str]:
    """Describes what is wrong with the bytes of a file or, where they are as they were written, with its rows."""
    try:
        with open_whole(filesystem, path) as source:
            digest, size = _digest(source)
            facts.size_bytes += size
            if size != entry.get("bytes") and _find_left(source, manifest, facts):
                return
            if size != entry.get("bytes"):
                yield f"a file that was altered: {size} bytes, but the manifest says {entry.get('bytes')}"
            elif digest != entry.get("sha256"):
                yield "a file that was altered: other bytes of the same length"
            elif schema is not None:
                source.seek(0)
                yield from _check_table(source, schema, entry.get("rows"), manifest, facts)
    except FileNotFoundError:
        yield "a file that is missing"
    except (OSError, pa.ArrowException) as error:
        yield f"a file that cannot be read: {error}"


def _find_left(source: pa.NativeFile, manifest: Mapping[str, Any], facts: SetFacts) -> bool:
    """Whether a file is what a removal has left of the samples that has not ended; then their ids are known."""
    if not is_attached(manifest):
        return False
    source.seek(0)
    with suppress(OSError, pa.ArrowException):
        parquet = pq.ParquetFile(source, page_checksum_verification=True)
        if is_removal_of(parquet.metadata.metadata, parquet.metadata.num_rows, manifest):
            facts.ids = np.asarray(parquet.read(["id"])["id"], np.int64)
            return True
    return False


def _digest(source: pa.NativeFile) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    while chunk := source.read_buffer(CHUNK_BYTES):
        digest.update(chunk)
        size += chunk.size
    return digest.hexdigest(), size


def _check_table(
    source: pa.NativeFile, schema: pa.Schema, rows: int | None, manifest: Mapping[str, Any], facts: SetFacts
) -> Iterator[str]:
    try:
        parquet = pq.ParquetFile(source, buffer_size=BUFFER_BYTES, pre_buffer=False, page_checksum_verification=True)
        if parquet.metadata.num_rows != rows:
            yield f"{parquet.metadata.num_rows} rows, but the manifest says {rows}"
        if not parquet.schema_arrow.equals(schema):
            yield "columns that are not those of the store"
        elif schema is SAMPLE_SCHEMA:
            yield from _check_rows(parquet, manifest, facts)
    except (OSError, pa.ArrowException) as error:
        yield f"Parquet that cannot be read: {error}"


def _check_rows(parquet: pq.ParquetFile, manifest: Mapping[str, Any], facts: SetFacts) -> Iterator[str]:
    """Describes each kind of fault with the number of rows that have it; then the counts and digest of all rows."""
    wrong: Counter[str] = Counter()
    counts: Counter[tuple[str, str]] = Counter()
    ids: list[Ids] = []
    digest = hashlib.sha256()
    for batch in parquet.iter_batches(BATCH_ROWS, columns=CHECKED_COLUMNS, use_threads=False):
        wrong.update(_count_wrong(batch, manifest["handle"], manifest["run_id"]))
        counts.update(zip(batch["trait"].to_pylist(), batch["pole"].to_pylist(), strict=True))
        text = "\n".join(map(str, batch["id"].to_pylist()))
        digest.update(f"\n{text}".encode() if ids else text.encode())
        ids.append(batch["id"].to_numpy())
    facts.ids = np.concatenate(ids) if ids else facts.ids
    yield from (f"{what}, in {count_noun(count, 'row')}" for what, count in wrong.items() if count)
    expected = {(trait, pole): count for trait, poles in manifest["counts"].items() for pole, count in poles.items()}
    if Counter(expected) != counts:
        yield "counts of traits and poles that differ from the manifest's"
    if digest.hexdigest() != manifest.get("rows_sha256"):
        yield "other rows, or another order of rows, than the manifest says (rows_sha256)"


def _count_wrong(batch: pa.RecordBatch, handle: str, run_id: str) -> dict[str, int]:
    """The number of rows that have each kind of fault; columns are compared whole and counted where they differ."""
    texts, rows = batch["text"].to_pylist(), batch.num_rows
    ids = [make_id(handle, trait, text) for trait, text in zip(batch["trait"].to_pylist(), texts, strict=True)]
    qualities = map(QUALITIES.get, batch["pole"].to_pylist())
    expected: dict[str, dict[str, pa.Array]] = {
        "an id that does not match handle, trait and text": {"id": pa.array(ids)},
        "a content_sha256 that does not match the text": {"content_sha256": pa.array(map(digest_text, texts))},
        "a quality that does not match the pole": {"quality": pa.array(qualities, pa.float64())},
        "a provenance or run id that does not match the set": {
            "provenance": pa.repeat("synthesized", rows),
            "run_id": pa.repeat(run_id, rows),
        },
    }
    wrong = {}
    for what, columns in expected.items():
        masks = [
            pc.not_equal(batch[name], column).fill_null(True)
            for name, column in columns.items()
            if not batch[name].equals(column)
        ]
        wrong[what] = reduce(pc.or_, masks).true_count if masks else 0
    return wrong


def _shorten(error: Exception) -> str:
    return str(error).partition(" cannot be read: ")[2].partition(". `exemplars")[0] or str(error)
