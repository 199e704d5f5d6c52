"""The sample set: what a run leaves, and the bytes of each of its files.

A set without its manifest does not exist for readers. The manifest is sealed: its last line is the digest of the rest,
so that a torn or altered one is found.
"""

import hashlib
import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from engine.domain.model import Pool
from engine.domain.samples import Row, RunStamp, make_rejected_table, make_sample_table
from engine.errors import StoreError
from engine.system.filesystem import open_folder

MANIFEST = "_manifest.json"
SAMPLES = "samples.parquet"
REJECTED = "_run/rejected.parquet"
VERDICT = "_run/verdict.json"
REPORT = "_run/report.html"
CARD = "_run/README.md"
# Where the samples of a detached set are kept: no reader of samples looks there.
DETACHED = "_run/detached.parquet"
# A page of samples is read without its whole set: what lies before it in its group of rows is all that is read besides.
GROUP_ROWS = 10_000
Status = Literal["attached", "rejected"]
FIELD = "manifest_sha256"
_END = b"\n}\n"
_SEALED_END = re.compile(rb',\n  "' + FIELD.encode() + rb'": "([0-9a-f]{64})"\n}\n\Z')


@dataclass(frozen=True, slots=True)
class SampleSet:
    """What is to be written of one run: rows, and the files beside them by their name in the set."""

    stamp: RunStamp
    pool: Pool
    status: Status
    plan_id: str
    kept: Sequence[Row]
    rejected: Sequence[Row]
    documents: Mapping[str, str]
    versions: Mapping[str, str]
    inputs: Mapping[str, Any] = field(default_factory=dict)


def render_files(sample_set: SampleSet) -> dict[str, bytes]:
    """The bytes of every file of a set by its name, the manifest last."""
    tables: dict[str, pa.Table] = {}
    if sample_set.status == "attached":
        tables[SAMPLES] = make_sample_table(sample_set.kept)
    tables[REJECTED] = make_rejected_table(sample_set.rejected)
    files = {name: _write_parquet(table) for name, table in tables.items()}
    files |= {name: text.encode() for name, text in sample_set.documents.items()}
    files[MANIFEST] = _render_manifest(sample_set, files, {name: table.num_rows for name, table in tables.items()})
    return files


def render_detached(manifest: Mapping[str, Any]) -> bytes:
    """The manifest of an attached set as it stands once the set is taken off its model: the samples lie elsewhere."""
    files = {DETACHED if name == SAMPLES else name: entry for name, entry in manifest["files"].items()}
    return seal({**manifest, "status": "detached", "files": files})


def read_manifest(folder: str) -> Mapping[str, Any] | None:
    """The manifest of a set; None where there is none yet, so that the set does not exist for readers.

    Raises:
        StoreError: one that cannot be read, is torn, or was altered since it was written.
    """
    filesystem, path = open_folder(f"{folder}/{MANIFEST}")
    try:
        with filesystem.open_input_file(path) as stream:
            manifest = unseal(bytes(stream.read()))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise StoreError(
            f"{folder}/{MANIFEST} cannot be read: {error}. `exemplars verify` says what else is broken"
        ) from error
    return manifest if isinstance(manifest, dict) else None


def seal(fields: Mapping[str, Any]) -> bytes:
    """The bytes of a JSON object with, in its last line, the SHA-256 of those that it has without that line.

    Args:
        fields: at least one; a digest among them, as of a file that was read, is left out.
    """
    rest = {name: value for name, value in fields.items() if name != FIELD}
    content = (json.dumps(rest, indent=2, ensure_ascii=False) + "\n").encode()
    line = f',\n  "{FIELD}": "{hashlib.sha256(content).hexdigest()}"'
    return content.removesuffix(_END) + line.encode() + _END


def unseal(content: bytes) -> Any:
    """The JSON value; one that has no digest, as those from before there were any, is taken as it is.

    Raises:
        ValueError: it is no JSON, or not what was sealed.
    """
    value = json.loads(content)
    if not isinstance(value, dict) or FIELD not in value:
        return value
    sealed = _SEALED_END.search(content)
    if sealed is None or sealed[1].decode() != hashlib.sha256(content[: sealed.start()] + _END).hexdigest():
        raise ValueError(f"it was altered since it was written: {FIELD} is the digest of another content")
    return value


def _render_manifest(sample_set: SampleSet, files: Mapping[str, bytes], rows: Mapping[str, int]) -> bytes:
    stamp = sample_set.stamp
    counts: dict[str, dict[str, int]] = {}
    for row in sample_set.kept if sample_set.status == "attached" else ():
        trait = counts.setdefault(row["trait"], {"positive": 0, "negative": 0})
        trait[row["pole"]] += 1
    ids = "\n".join(str(row["id"]) for row in sample_set.kept)
    manifest = {
        "status": sample_set.status,
        "run_id": stamp.run_id,
        "handle": stamp.handle,
        "pool": sample_set.pool,
        "synth_type": stamp.synth_type,
        "effort": stamp.effort,
        "plan_id": sample_set.plan_id,
        "created_at": stamp.created_at.isoformat(),
        "counts": counts,
        "rows_sha256": hashlib.sha256(ids.encode()).hexdigest(),
        "files": {
            name: {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content), "rows": rows.get(name)}
            for name, content in files.items()
        },
        "versions": dict(sample_set.versions),
        "inputs": dict(sample_set.inputs),
    }
    return seal(manifest)


def _write_parquet(table: pa.Table) -> bytes:
    stream = io.BytesIO()
    pq.write_table(table, stream, compression="zstd", row_group_size=GROUP_ROWS, write_page_checksum=True)
    return stream.getvalue()
