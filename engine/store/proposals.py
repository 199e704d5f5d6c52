"""Proposed sets in the store, which wait for a person's word, and the texts that a person has refused or accepted."""

import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import cast, get_args

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from engine.domain.model import Pool, Seed
from engine.domain.samples import Reason, Row, make_rejected_table, make_sample_table
from engine.store.debris import list_run_folders
from engine.store.decisions import list_decided, read_decisions, sum_up
from engine.store.earlier.hashes import render_hashes
from engine.store.layout import HASHES, MANIFEST, PROPOSED, REJECTED, SAMPLES
from engine.store.sample_set import count_poles, describe_file, digest_ids, read_manifest, seal, write_parquet
from engine.store.set_versions import list_removals
from engine.store.store import StoredSet, explain_damage, list_pools, list_sets, write_files
from engine.system.filesystem import open_folder, read_bytes
from engine.text.signatures import KINDS

STATUSES = ("attached", "proposed", "rejected", "detached")
# The reasons of rows that a person has refused.
LEFT_OUT: Reason = "left_out"
REFUSALS = (LEFT_OUT, "removed")


def list_proposals(samples_uri: str, handle: str) -> list[StoredSet]:
    """The proposals of a model that wait, in both pools, in the order of their creation.

    Raises:
        StoreError: a folder or manifest cannot be read.
    """
    return [stored for stored in list_all(samples_uri, handle) if stored.status == "proposed"]


def list_waiting(samples_uri: str) -> Iterator[StoredSet]:
    """Yields all proposals of a store that wait, model by model; of other sets no manifest is read.

    Raises:
        StoreError: the store cannot be listed, or a manifest cannot be read.
    """
    for pool in list_pools(samples_uri):
        filesystem, path = open_folder(pool)
        for name, files in sorted(list_run_folders(filesystem, path).items()):
            if PROPOSED in files:
                manifest = read_manifest(f"{pool}/{name}")
                if manifest is not None and manifest.get("status") == "proposed":
                    yield StoredSet(f"{pool}/{name}", manifest, written=False)


def list_expired(proposals: Iterable[StoredSet], now: datetime) -> list[StoredSet]:
    """Those of some proposals whose time for a person's word is over."""
    return [stored for stored in proposals if read_deadline(stored) <= now]


def read_deadline(stored: StoredSet) -> datetime:
    """Until when a proposal waits."""
    return datetime.fromisoformat(str(stored.manifest["review"]["until"]))


def read_refused(sets: Iterable[StoredSet]) -> tuple[str, ...]:
    """The texts of a model that a person has refused, sorted: left out of a proposal, or removed later.

    Args:
        sets: all sets of the model; of those without a refused text only the manifest is looked at.

    Raises:
        StoreError: the rejected rows of a set cannot be read.
    """
    texts: set[str] = set()
    for stored in sets:
        review = stored.manifest.get("review", {}) if stored.status != "proposed" else {}
        if review.get("refused") or stored.manifest.get("removals"):
            with explain_damage(stored):
                content = read_bytes(stored.file(REJECTED))
                table = pq.read_table(io.BytesIO(content), columns=["text", "reason"], page_checksum_verification=True)
                rows = table.filter(pc.is_in(table["reason"], pa.array(REFUSALS)))
                texts.update(text for text in rows["text"].to_pylist() if text)
    return tuple(sorted(texts))


def read_reviewed(sets: Iterable[StoredSet]) -> tuple[Seed, ...]:
    """The texts that a person has accepted one by one in reviews, at the poles that the person gave them.

    Those of attached training sets, in the order of the sets and of their rows, each once. What was attached without a
    look at it, and what was removed later, teaches nothing. A text that reads as the other pole counts there, even
    where that pole's quota had no room for it.

    Args:
        sets: all sets of the model; of those without a review only the manifest is looked at.

    Raises:
        StoreError: a proposal or its decisions cannot be read.
    """
    mine = [stored for stored in sets if "/pool=train/" in stored.folder and stored.status == "attached"]
    removed = {number for stored in mine for entry in list_removals(stored.manifest) for number in entry["ids"]}
    found: dict[tuple[str, str], Seed] = {}
    for stored in mine:
        if "left_out" in stored.manifest.get("review", {}):
            for number, seed in _list_accepted(stored):
                if number not in removed:
                    found[seed.trait, seed.text] = seed
    return tuple(found.values())


def read_rows(stored: StoredSet, name: str) -> list[Row]:
    """The rows of a proposal, or those that its run has rejected: ``PROPOSED`` or ``REJECTED``.

    Raises:
        StoreError: the file cannot be read.
    """
    with explain_damage(stored):
        content = read_bytes(stored.file(name))
        rows = pq.read_table(io.BytesIO(content), page_checksum_verification=True).to_pylist()
    # On an object store a later version's rows may have been put there, after these, by a run that then ended.
    rows = rows[: stored.manifest["files"][name]["rows"]]
    return [cast(Row, {"reason": None, **row}) for row in rows]


def reject_proposal(stored: StoredSet, why: str, refused: bool, decisions: Mapping[str, bytes]) -> StoredSet:
    """Ends a proposal as rejected: its rows become rejected ones, and its report stays.

    Args:
        refused: whether a person has refused its texts, which then stay known; else nobody has looked at them.
        decisions: what was decided one by one, as ``read_decision_file`` has it.

    Raises:
        StoreError: the set cannot be read or written; it then still waits.
    """
    reason: Reason = LEFT_OUT if refused else "surplus"
    rows = [Row(**{**row, "reason": reason}) for row in read_rows(stored, PROPOSED)]
    review = {"why": why, **({"refused": len(rows)} if refused else {})}
    return _end(stored, "rejected", [], rows, review, decisions)


def attach_proposal(
    stored: StoredSet,
    rows: Sequence[Row],
    left_out: Sequence[Row],
    review: Mapping[str, object],
    beside: Sequence[str],
    decisions: Mapping[str, bytes],
    may_enter: Callable[[], bool],
) -> StoredSet:
    """Attaches what stands of a proposal: what was left out becomes rejected rows, and its report stays.

    Args:
        review: what the manifest says of the review from here on.
        beside: the runs whose sets the gate has seen.
        may_enter: as for ``write_files``.

    Raises:
        StoreError: the set cannot be read or written; it then still waits.
    """
    manifest = {**stored.manifest, "inputs": {**stored.manifest["inputs"], "checked_beside": list(beside)}}
    seen = replace(stored, manifest=manifest)
    return _end(seen, "attached", rows, left_out, {**review, "refused": len(left_out)}, decisions, may_enter)


def _end(
    stored: StoredSet,
    status: str,
    rows: Sequence[Row],
    rejected: Sequence[Row],
    review: Mapping[str, object],
    decisions: Mapping[str, bytes],
    may_enter: Callable[[], bool] = lambda: True,
) -> StoredSet:
    """Puts the set that comes of a proposal in its place: with these samples, and with these rows more rejected."""
    kept = [name for name in stored.manifest["files"] if name not in {REJECTED, *HASHES.values()}]
    with explain_damage(stored):
        files = {name: read_bytes(stored.file(name)) for name in kept} | dict(decisions)
    every, counts = [*read_rows(stored, REJECTED), *rejected], dict.fromkeys(HASHES.values(), len(rows))
    files[REJECTED] = write_parquet(make_rejected_table(every))
    counts |= {PROPOSED: stored.manifest["files"][PROPOSED]["rows"], REJECTED: len(every), SAMPLES: len(rows)}
    if status == "attached":
        files[SAMPLES] = write_parquet(make_sample_table(rows))
        files |= {HASHES[kind.name]: render_hashes([[str(row["text"]) for row in rows]], kind) for kind in KINDS}
    manifest = {
        **{name: value for name, value in stored.manifest.items() if name != "hashes_version" or status == "attached"},
        "status": status,
        "counts": count_poles(rows),
        "rows_sha256": digest_ids([row["id"] for row in rows]),
        "files": {name: describe_file(content, counts.get(name)) for name, content in files.items()},
        "review": {**stored.manifest["review"], **review},
    }
    return write_files(stored.folder, files | {MANIFEST: seal(manifest)}, may_enter)


def list_all(samples_uri: str, handle: str) -> list[StoredSet]:
    """All sets of a model, whatever their status, pool by pool.

    Raises:
        StoreError: a folder or manifest cannot be read.
    """
    return [stored for pool in get_args(Pool) for stored in list_sets(samples_uri, handle, pool, STATUSES)]


def _list_accepted(stored: StoredSet) -> Iterator[tuple[int, Seed]]:
    """The id and the text of each sample that was accepted, or marked as the other pole, in a set's last review."""
    word = stored.manifest["review"]
    left_out, moved = set(word["left_out"]), set(word["other_pole"])
    accepted = set(list_decided(sum_up(read_decisions(stored)), "accept"))
    for row in read_rows(stored, PROPOSED):
        number, quality = row["id"], row["quality"]
        if number in (accepted | moved) - left_out and row["text"] is not None and quality is not None:
            given = 1 - quality if number in moved else quality
            yield number, Seed(str(row["trait"]), row["text"], given, f"run {stored.run_id}")
