"""The next version of a set, from which a person has taken samples, as a pure function of the files that it has now.

The rows that stay are as they were and in their order. Those that go are appended to ``rejected.pq`` with the reason
``removed``: whoever keeps such texts out of later runs finds them there. The manifest names each removal with both
digests of ``samples.parquet``, and the numbers that the rows had when the set was attached.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from engine.domain.samples import REJECTED_SCHEMA, Reason
from engine.store.earlier.hashes import render_hashes
from engine.store.layout import ATTACHED_NS, HASHES, MANIFEST, REJECTED, SAMPLES
from engine.store.sample_set import describe_file, digest_ids, seal, unseal, write_parquet
from engine.text.signatures import HASHES_VERSION, KINDS

REMOVED: Reason = "removed"
Positions = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True, slots=True)
class Removal:
    """What a person takes off, by the ids of the samples; ``why`` is the person's word or empty."""

    ids: tuple[int, ...]
    removed_at: datetime
    why: str = ""


def remove_rows(manifest: Mapping[str, Any], files: Mapping[str, bytes], removal: Removal) -> dict[str, bytes]:
    """The files of a set that are others without some of its samples; none if it has none of these.

    Args:
        manifest: that of the attached set.
        files: its ``samples.parquet`` and ``rejected.pq``.
    """
    samples, rejected = (read_table(files[name]) for name in (SAMPLES, REJECTED))
    gone = pc.is_in(samples["id"], pa.array(removal.ids, pa.int64()))
    left, taken = (samples.filter(mask).combine_chunks() for mask in (pc.invert(gone), gone))
    if not taken.num_rows:
        return {}
    reasons = pa.repeat(REMOVED, taken.num_rows)
    refused = pa.table([*taken.columns, reasons], REJECTED_SCHEMA.names).cast(rejected.schema)
    tables = {SAMPLES: left, REJECTED: pa.concat_tables([rejected, refused]).combine_chunks()}
    changed = {name: write_parquet(table) for name, table in tables.items()}
    rows = {name: table.num_rows for name, table in tables.items()}
    changed |= {HASHES[kind.name]: render_hashes([left["text"].to_pylist()], kind) for kind in KINDS}
    rows |= dict.fromkeys(HASHES.values(), left.num_rows)
    entries = {name: describe_file(content, rows[name]) for name, content in changed.items()}
    entry = {
        "removed_at": removal.removed_at.isoformat(),
        "why": removal.why,
        "ids": taken["id"].to_pylist(),
        "rows": number_rows(manifest, samples.num_rows)[gone.to_numpy()].tolist(),
        "samples_sha256": {
            "before": manifest["files"][SAMPLES]["sha256"],
            "after": entries[SAMPLES]["sha256"],
        },
    }
    changed[MANIFEST] = seal(
        {
            **manifest,
            "counts": _count_rows(manifest["counts"], left),
            "rows_sha256": digest_ids(left["id"].to_pylist()),
            "files": {**manifest["files"], **entries},
            "hashes_version": HASHES_VERSION,
            "removals": [*list_removals(manifest), entry],
        }
    )
    return changed


def repeat_removals(files: Mapping[str, bytes], before: Mapping[str, Any]) -> dict[str, bytes]:
    """The files of a set that was made again, without the samples that were taken off it before, one removal a time.

    Args:
        files: all files of the set, with its manifest.
        before: the manifest of the set that was there before.
    """
    repeated = dict(files)
    if ATTACHED_NS in before:
        repeated[MANIFEST] = seal({**unseal(files[MANIFEST]), ATTACHED_NS: before[ATTACHED_NS]})
    for entry in list_removals(before):
        removal = Removal(tuple(entry["ids"]), datetime.fromisoformat(entry["removed_at"]), entry["why"])
        repeated |= remove_rows(unseal(repeated[MANIFEST]), repeated, removal)
    return repeated


def list_removals(manifest: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """What was taken off a set since it was attached, in order; an entry has the ids and ``rows``, their numbers."""
    return list(manifest.get("removals", ()))


def number_rows(manifest: Mapping[str, Any], count: int) -> Positions:
    """The number that each of a set's ``count`` rows had when the set was attached, which it keeps for good."""
    removed = [number for entry in list_removals(manifest) for number in entry["rows"]]
    return np.delete(np.arange(count + len(removed)), np.array(removed, np.int64))


def read_table(content: bytes) -> pa.Table:
    """The table in the bytes of a set's file."""
    return pq.read_table(pa.BufferReader(content), page_checksum_verification=True)


def _count_rows(before: Mapping[str, Mapping[str, int]], left: pa.Table) -> dict[str, dict[str, int]]:
    """The rows by trait and pole. A trait of which none is left stays, with zeros."""
    counts = {trait: dict.fromkeys(poles, 0) for trait, poles in before.items()}
    for trait, pole in zip(left["trait"].to_pylist(), left["pole"].to_pylist(), strict=True):
        counts[trait][pole] += 1
    return counts
