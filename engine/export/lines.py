"""Find the attached samples of a model, or of one run, and write them as CSV or JSON.

They become rows with all columns, lines of a ``model.yaml`` source, or bodies of requests.
"""

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from engine.definitions.outline import Outline, name_added_field
from engine.definitions.sources.tables import CONTENT
from engine.domain.model import Pool
from engine.domain.samples import SAMPLE_SCHEMA
from engine.errors import InputError
from engine.store.index.rows import walk_rows
from engine.store.store import StoredSet, get_set, list_sets
from engine.text.formatting import quote_formulas

BATCH_ROWS = 1_000
POOLS: tuple[Pool, Pool] = ("train", "eval")
# The platform accepts so many samples in a request (contract, section 5), and 8 MiB. A proxy in front of it may accept
# less: nginx accepts 1 MiB by default (client_max_body_size).
BODY_SAMPLES, BODY_BYTES = 500, 1024 * 1024
BODY_COLUMNS = ("trait", "text", "quality", "content_sha256")
_BODY_BEGINS, _BODY_ENDS = b'{"samples": [', b"]}"
# Some readers treat these characters as line ends, although JSON does not.
_LINE_ENDS = {ord(character): f"\\u{ord(character):04x}" for character in "\x85\u2028\u2029"}


def find_attached(samples_uri: str, handle: str, pools: Sequence[Pool], run_id: str | None = None) -> list[StoredSet]:
    """Return the attached sets of a model in some pools, pool by pool, or only the set of one run.

    Raises:
        InputError: nothing is attached, or the run's set is not one of them.
        StoreError: the store cannot be read.
    """
    if run_id is not None:
        return [_find_run(samples_uri, handle, pools, run_id)]
    sets = [stored for pool in pools for stored in list_sets(samples_uri, handle, pool)]
    if sets:
        return sets
    message = f"{handle} has no attached samples in the pool {' or '.join(pools)}, so there is nothing to export"
    for other in (pool for pool in POOLS if pool not in pools):
        if list_sets(samples_uri, handle, other):
            raise InputError(f"{message}. The pool {other} has some: --pool {other}")
    raise InputError(f"{message}. `exemplars synthesize {handle}` generates some")


def walk_samples(sets: Iterable[StoredSet], columns: Sequence[str] = SAMPLE_SCHEMA.names) -> Iterator[dict[str, Any]]:
    """Yield the samples of some sets one by one, with some of their columns.

    Raises:
        StoreError: a set cannot be read.
    """
    for stored in sets:
        for table in walk_rows(stored, columns, BATCH_ROWS):
            yield from table.to_pylist()


def write_lines(outline: Outline, sets: Sequence[StoredSet], file: Path) -> int:
    """Write one JSON line per sample, with ``handle``, ``pool`` and all columns; return the number of samples."""
    return _write(file, _walk_entries(outline.handle, sets))


def write_csv(outline: Outline, sets: Sequence[StoredSet], file: Path) -> int:
    """Write a header and one row per sample, with the columns of ``write_lines``; no cell runs as a formula."""
    written = 0
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["handle", "pool", *SAMPLE_SCHEMA.names])
        for entry in _walk_entries(outline.handle, sets):
            writer.writerow([quote_formulas(cell) if isinstance(cell, str) else cell for cell in entry.values()])
            written += 1
    return written


def write_source(outline: Outline, sets: Sequence[StoredSet], file: Path) -> int:
    """Write one line per sample, as in a source of ``model.yaml``; return the number of samples.

    Samples of traits that the model no longer has are left out, since a source cannot label them.
    """
    fields = {trait.key: name_added_field(trait.key) for trait in outline.traits}
    rows = walk_samples(sets, ("trait", "text", "quality"))
    return _write(
        file, ({CONTENT: row["text"], fields[row["trait"]]: row["quality"]} for row in rows if row["trait"] in fields)
    )


def describe_source(outline: Outline, path: str) -> str:
    """Return the YAML entry for ``sources`` in ``model.yaml`` that reads a file of ``write_source``."""
    mapping = {name_added_field(trait.key): {"trait": trait.key} for trait in outline.traits}
    entry = {"type": "jsonl", "path": path, "mapping": mapping}
    return yaml.safe_dump({"sources": [entry]}, sort_keys=False, allow_unicode=True)


def write_bodies(outline: Outline, sets: Sequence[StoredSet], folder: Path) -> int:
    """Write the request bodies for ``POST /v1/models/{handle}/samples`` as files; return the number of samples.

    Samples of traits that the model no longer has are left out, since the platform refuses them.
    """
    written = 0
    for number, body in enumerate(walk_bodies(outline, sets), 1):
        (folder / f"samples-{number:06}.json").write_bytes(join_body(body))
        written += len(body)
    return written


def walk_bodies(outline: Outline, sets: Sequence[StoredSet]) -> Iterator[list[bytes]]:
    """Yield the entries of each body, in order, without samples of traits that the model no longer has."""
    traits = {trait.key for trait in outline.traits}
    return pack_bodies(to_json(row) for row in walk_samples(sets, BODY_COLUMNS) if row["trait"] in traits)


def pack_bodies(entries: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Pack entries into bodies of at most ``BODY_SAMPLES`` samples and ``BODY_BYTES`` bytes."""
    body: list[bytes] = []
    size = len(_BODY_BEGINS) + len(_BODY_ENDS)
    for entry in entries:
        if body and (len(body) == BODY_SAMPLES or size + len(entry) + 2 > BODY_BYTES):
            yield body
            body, size = [], len(_BODY_BEGINS) + len(_BODY_ENDS)
        body.append(entry)
        size += len(entry) + 2
    if body:
        yield body


def join_body(entries: Iterable[bytes]) -> bytes:
    """Return the body of one request with these entries."""
    return _BODY_BEGINS + b", ".join(entries) + _BODY_ENDS


def to_json(entry: Mapping[str, Any]) -> bytes:
    """Render an object as JSON on one line, without characters that some readers treat as line ends."""
    return json.dumps(entry, ensure_ascii=False).translate(_LINE_ENDS).encode()


def _find_run(samples_uri: str, handle: str, pools: Sequence[Pool], run_id: str) -> StoredSet:
    stored = get_set(samples_uri, run_id)
    if stored.handle != handle:
        raise InputError(f"The set of run {run_id} belongs to {stored.handle}, not to {handle}")
    if stored.status != "attached":
        raise InputError(f"The set of run {run_id} is {stored.status}, and only attached samples are exported")
    if (pool := stored.manifest["pool"]) not in pools:
        raise InputError(
            f"The set of run {run_id} is in the pool {pool}, but {' and '.join(pools)} was requested: use --pool {pool}"
        )
    return stored


def _walk_entries(handle: str, sets: Sequence[StoredSet]) -> Iterator[dict[str, Any]]:
    """Yield the samples with ``handle``, ``pool`` and all columns; times in ISO 8601."""
    for stored in sets:
        for row in walk_samples([stored]):
            moment: datetime = row["created_at"]
            yield {"handle": handle, "pool": stored.manifest["pool"], **row, "created_at": moment.isoformat()}


def _write(file: Path, entries: Iterable[Mapping[str, Any]]) -> int:
    written = 0
    with file.open("wb") as stream:
        for entry in entries:
            stream.write(to_json(entry) + b"\n")
            written += 1
    return written
