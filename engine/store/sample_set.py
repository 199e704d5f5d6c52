"""The sample set, the result of a run, rendered as the bytes of its files.

A set without its manifest does not exist for readers. The manifest is sealed: its last field holds the digest of the
others, so that a truncated or altered manifest is detected.
"""

import hashlib
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import pyarrow as pa
import pyarrow.parquet as pq

from engine.domain.model import Pool
from engine.domain.samples import Row, RunStamp, make_rejected_table, make_sample_table
from engine.errors import StoreError
from engine.store.layout import DETACHED, HASHES, MANIFEST, PROMPTS, PROPOSED, REJECTED, SAMPLES
from engine.system.filesystem import open_folder
from engine.text.near_duplicates import HASHES_SCHEMA, HashColumn, make_hash_column

# Rows in a Parquet row group. A reader of a page of samples also reads the rows before it in the same group.
GROUP_ROWS = 10_000
HASHES_GROUP_ROWS = 65_536
PROMPTS_SCHEMA = pa.schema([(name, pa.string()) for name in ("prompt_sha256", "system", "turns", "user")])
Status = Literal["attached", "rejected", "proposed"]
# The name of the file with a set's samples, by the set's status.
SAMPLES_NAMES: Mapping[str, str] = {"attached": SAMPLES, "detached": DETACHED, "proposed": PROPOSED}
DIGEST_FIELD = "manifest_sha256"
# Fields of a manifest, in nanoseconds since 1970: the time at which the set was attached (listings sort by it), and the
# time at which it was written (it never changes).
ATTACHED_NS, WRITTEN_NS = "attached_ns", "written_ns"


@dataclass(frozen=True, slots=True)
class SampleSet:
    """The output of one run: the rows, and ``documents``, the text files next to them, by their name in the set.

    ``review`` is the manifest's entry on a person's review, if there is one. ``replaces`` are the run ids of the sets
    that this set replaces. ``prompts`` are the prompts of its rows, with the columns of ``PROMPTS_SCHEMA``.
    """

    stamp: RunStamp
    pool: Pool
    status: Status
    plan_id: str
    kept: Sequence[Row]
    rejected: Sequence[Row]
    documents: Mapping[str, str]
    versions: Mapping[str, str]
    inputs: Mapping[str, Any] = field(default_factory=dict)
    review: Mapping[str, Any] = field(default_factory=dict)
    replaces: Sequence[str] = ()
    prompts: Sequence[Mapping[str, str | None]] = ()


def render_set(sample_set: SampleSet) -> tuple[dict[str, bytes], dict[str, Any]]:
    """Return the bytes of a set's files by name, and its manifest without the times at which it enters the store."""
    files = {name: text.encode() for name, text in sample_set.documents.items()}
    files[REJECTED] = write_parquet(make_rejected_table(sample_set.rejected))
    rows = {REJECTED: len(sample_set.rejected), PROMPTS: len(sample_set.prompts)}
    if name := SAMPLES_NAMES.get(sample_set.status):
        files |= {name: write_parquet(make_sample_table(sample_set.kept)), HASHES: _render_hashes(sample_set.kept)}
        rows |= dict.fromkeys((name, HASHES), len(sample_set.kept))
    if sample_set.prompts:
        files[PROMPTS] = write_parquet(pa.Table.from_pylist(list(sample_set.prompts), PROMPTS_SCHEMA))
    stamp = sample_set.stamp
    manifest = {
        "status": sample_set.status,
        "run_id": stamp.run_id,
        "handle": stamp.handle,
        "pool": sample_set.pool,
        "synth_type": stamp.synth_type,
        "effort": stamp.effort,
        "plan_id": sample_set.plan_id,
        "created_at": stamp.created_at.isoformat(),
        "counts": count_poles(sample_set.kept if name else ()),
        "rows_sha256": digest_ids([row["id"] for row in sample_set.kept]),
        "files": {name: describe_file(content, rows.get(name)) for name, content in files.items()},
        "versions": dict(sample_set.versions),
        "inputs": dict(sample_set.inputs),
    }
    optional = {"review": dict(sample_set.review), "replaces": list(sample_set.replaces)}
    return files, manifest | {name: value for name, value in optional.items() if value}


def read_own_count(manifest: Mapping[str, Any]) -> int | None:
    """Return the requested number of exemplars per pole; None if the set's effort decided it."""
    level: Mapping[str, Any] = manifest["inputs"]["level"]
    return level["exemplars_per_pole"] if level["is_own_count"] else None


def write_filling_command(manifest: Mapping[str, Any]) -> str:
    """Return the command that generates the samples that a set is missing."""
    kind, own_count = manifest["synth_type"], read_own_count(manifest)
    options = [
        *([] if kind == "from_traits" else [f"--synth-type {kind}"]),
        f"--effort {manifest['effort']}",
        *([] if own_count is None else [f"--per-pole {own_count}"]),
    ]
    return f"exemplars synthesize {manifest['handle']} {' '.join(options)} --only-lacking"


def read_manifest(folder: str) -> Mapping[str, Any] | None:
    """Return the manifest of a set; None if there is none: the set then does not exist for readers.

    Raises:
        StoreError: the manifest cannot be read, is truncated, or was altered after it was written.
    """
    uri = f"{folder}/{MANIFEST}"
    filesystem, path = open_folder(uri)
    try:
        with filesystem.open_input_file(path) as stream:
            return unseal(bytes(stream.read()))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise StoreError(f"{uri} cannot be read: {error}. Run `exemplars verify` to find other faults") from error


def seal(fields: Mapping[str, Any]) -> bytes:
    """Render a JSON object with a last field, new or replaced, that has the digest of the rest."""
    rest = {name: value for name, value in fields.items() if name != DIGEST_FIELD}
    return (json.dumps({**rest, DIGEST_FIELD: _digest(rest)}, indent=2, ensure_ascii=False) + "\n").encode()


def unseal(content: bytes) -> dict[str, Any]:
    """Parse the output of ``seal`` and check its digest.

    Raises:
        ValueError: the content is not JSON, or was altered after it was sealed.
    """
    value: dict[str, Any] = json.loads(content)
    rest = {name: field for name, field in value.items() if name != DIGEST_FIELD} if isinstance(value, dict) else {}
    if not rest or value.get(DIGEST_FIELD) != _digest(rest):
        raise ValueError(f"it was altered since it was written: {DIGEST_FIELD} does not match the content")
    return value


def count_poles(rows: Iterable[Row]) -> dict[str, dict[str, int]]:
    """Count rows by trait and pole, for ``counts`` in the manifest of their set."""
    counts: dict[str, dict[str, int]] = {}
    for row in rows:
        counts.setdefault(row["trait"], {"positive": 0, "negative": 0})[row["pole"]] += 1
    return counts


def digest_ids(ids: Iterable[int]) -> str:
    """Return the digest of a set's row ids, ``rows_sha256`` in its manifest."""
    return hashlib.sha256("\n".join(map(str, ids)).encode()).hexdigest()


def describe_file(content: bytes, rows: int | None) -> dict[str, Any]:
    """Return the entry of a file in its set's manifest; ``rows`` is None for a file that is no table."""
    return {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content), "rows": rows}


def write_parquet(table: pa.Table) -> bytes:
    """Return a table as Parquet bytes with the options of every set; equal tables in one chunk give equal bytes."""
    stream = io.BytesIO()
    pq.write_table(table, stream, compression="zstd", row_group_size=GROUP_ROWS, write_page_checksum=True)
    return stream.getvalue()


def _render_hashes(rows: Sequence[Row]) -> bytes:
    """Render the hashes of a set's texts by sample id. The file is written with the set and never changed.

    A removal deletes rows from the samples but not from the hashes: the hashes may have more rows, in the same order.
    """
    ids, texts = [row["id"] for row in rows], [str(row["text"]) for row in rows]
    hashes = [make_hash_column(texts, column) for column in get_args(HashColumn)]
    table = pa.table([pa.array(ids, pa.int64()), *hashes], schema=HASHES_SCHEMA)
    stream = io.BytesIO()
    options = {"compression": "NONE", "use_dictionary": False, "write_statistics": False}
    pq.write_table(table, stream, row_group_size=HASHES_GROUP_ROWS, write_page_checksum=True, **options)
    return stream.getvalue()


def _digest(fields: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(fields).encode()).hexdigest()
