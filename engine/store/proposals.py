"""Proposed sets, which wait for a person's review: store the decisions, and attach or reject the set.

Each decision is a line of a file, on the disk before it is confirmed; the latest decision on a sample counts. When the
review ends, the decisions move to the manifest.
"""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal, get_args

from engine.domain.model import Pool, Seed, digest_text
from engine.domain.samples import Row, make_id, make_sample_table
from engine.errors import InputError
from engine.store.changes import changing
from engine.store.commit import is_attached
from engine.store.layout import DECISIONS, MANIFEST, PROPOSED, SAMPLES
from engine.store.sample_set import (
    ATTACHED_NS,
    count_poles,
    describe_file,
    digest_ids,
    read_manifest,
    seal,
    unseal,
    write_parquet,
)
from engine.store.store import UNREADABLE, StoredSet, explain_damage, list_sets, translate_errors
from engine.store.writers import lock_model
from engine.system.filesystem import read_bytes, write_whole
from engine.system.parquet import read_table
from engine.text.near_duplicates import find_pairs

STATUSES = ("attached", "proposed", "rejected", "detached")
DecisionKind = Literal["accept", "refuse", "other_pole", "correct", "undecided"]


@dataclass(frozen=True, slots=True)
class Decision:
    """A decision on a sample: ``key`` is the id of the API key that sent it, ``at`` the time in UTC.

    ``text`` is the text with which a person replaced the sample's text, for a decision ``correct``.
    """

    sample_id: int
    said: DecisionKind
    key: str
    at: str
    text: str = ""

    def to_entry(self) -> dict[str, Any]:
        """Return the entry of the decision in its file and in the manifest."""
        return {name: value for name, value in asdict(self).items() if name != "text" or value}


def list_all(samples_uri: str, handle: str, statuses: Sequence[str] = STATUSES) -> list[StoredSet]:
    """Return all sets of a model, filtered by status, pool by pool, oldest first.

    Raises:
        StoreError: a folder or manifest cannot be read.
    """
    return [stored for pool in get_args(Pool) for stored in list_sets(samples_uri, handle, pool, statuses)]


def read_deadline(stored: StoredSet) -> datetime:
    """Return the time until which a proposal waits for a review."""
    return datetime.fromisoformat(str(stored.manifest["review"]["until"]))


def read_refused(sets: Iterable[StoredSet]) -> tuple[str, ...]:
    """Return the texts that a person left out of a proposal, removed later, or replaced by a distant text, sorted.

    Args:
        sets: all sets of the model; only the manifest is read for sets without a refused text.

    Raises:
        StoreError: the rows of a proposal cannot be read.
    """
    texts: set[str] = set()
    for stored in sets:
        texts.update(entry["text"] for entry in stored.manifest.get("removals", ()) if entry["text"])
        review = stored.manifest.get("review", {})
        refused, corrected = set(review.get("refused", ())), {entry["was"] for entry in review.get("corrected", ())}
        if refused or corrected:
            decisions = sum_up(read_decisions(stored)) if corrected else {}
            for row in read_rows(stored, PROPOSED):
                number, text = row["id"], row["text"] or ""
                if number in refused or (number in corrected and not find_pairs([decisions[number].text, text])):
                    texts.add(text)
    return tuple(sorted(texts - {""}))


def read_reviewed(sets: Iterable[StoredSet]) -> tuple[Seed, ...]:
    """Return the texts that a person accepted one by one in reviews, with the pole that the person chose.

    Only attached training sets count; texts are in the order of the sets and their rows, each once. Texts that were
    attached without an individual decision, or removed later, are left out. A text that was marked as the other pole
    has that pole, even if its quota was full.

    Args:
        sets: all sets of the model; only the manifest is read for sets without a review.

    Raises:
        StoreError: a proposal or its decisions cannot be read.
    """
    training = [stored for stored in sets if "/pool=train/" in stored.folder and stored.status == "attached"]
    removed = {entry["id"] for stored in training for entry in stored.manifest.get("removals", ())}
    seeds: dict[tuple[str, str], Seed] = {}
    for stored in training:
        if "left_out" in stored.manifest.get("review", {}):
            for number, seed in _list_accepted(stored):
                if number not in removed:
                    seeds[seed.trait, seed.text] = seed
    return tuple(seeds.values())


def read_rows(stored: StoredSet, name: str) -> list[Row]:
    """Return the proposed rows of a set (file ``PROPOSED``), or the rows that its run rejected (``REJECTED``).

    Raises:
        StoreError: the file cannot be read.
    """
    with explain_damage(stored):
        rows = read_table(read_bytes(stored.file(name))).to_pylist()
    return [{"reason": None, **row} for row in rows]


def keep_decision(stored: StoredSet, sample_id: int, kind: DecisionKind, key: str, text: str = "") -> Decision:
    """Add a decision, and return when it is on the disk. The caller has checked a corrected ``text``.

    Raises:
        InputError: the set no longer waits for a review. StoreError: the decision cannot be written.
    """
    decision = Decision(sample_id, kind, key, datetime.now(UTC).isoformat(timespec="milliseconds"), text)
    remedy = f"The decision on sample {sample_id} was not stored: make it again"
    # The lock prevents changes of the set, and decisions by others, between the read and the write.
    with translate_errors(stored.folder, remedy), lock_model(stored.folder):
        manifest = read_manifest(stored.folder)
        if manifest is None or manifest.get("status") != "proposed":
            raise InputError(f"The set of run {stored.run_id} accepts no more decisions: its review has ended")
        line = (json.dumps(decision.to_entry()) + "\n").encode()
        write_whole(stored.file(DECISIONS), _read_lines(stored) + line)
    return decision


def read_decisions(stored: StoredSet) -> list[Decision]:
    """Return all decisions on a set, oldest first; they are in its manifest once its review has ended.

    Raises:
        StoreError: the decisions cannot be read.
    """
    if "decisions" in stored.manifest:
        return [Decision(**entry) for entry in stored.manifest["decisions"]]
    with translate_errors(stored.folder, UNREADABLE):
        return [Decision(**json.loads(line)) for line in _read_lines(stored).splitlines()]


def sum_up(decisions: Sequence[Decision]) -> dict[int, Decision]:
    """Return the latest decision on each decided sample, by sample id, with the corrected text if there is one.

    A corrected sample is accepted. A sample that is undecided again has no decision, and its original text.
    """
    counted: dict[int, Decision] = {}
    for item in decisions:
        if item.said == "undecided":
            counted.pop(item.sample_id, None)
        elif item.said == "correct":
            counted[item.sample_id] = replace(item, said="accept")
        else:
            text = counted[item.sample_id].text if item.sample_id in counted else ""
            counted[item.sample_id] = replace(item, text=text)
    return counted


def list_decided(counted: Mapping[int, Decision], kind: DecisionKind) -> list[int]:
    """Return the ids of the samples with this decision, sorted."""
    return sorted(sample_id for sample_id, decision in counted.items() if decision.said == kind)


def correct_rows(handle: str, rows: Iterable[Row], counted: Mapping[int, Decision]) -> list[Row]:
    """Return the rows with the corrected texts of ``sum_up``; votes on an old text are dropped."""

    def correct(row: Row) -> Row:
        text = counted[row["id"]].text if row["id"] in counted else ""
        if text in ("", row["text"]):
            return row
        number, digest = make_id(handle, row["trait"], text), digest_text(text)
        return {**row, "id": number, "text": text, "content_sha256": digest, "judge_votes": None}

    return list(map(correct, rows))


def reject_proposal(stored: StoredSet, why: str, is_persons: bool, who: str = "") -> StoredSet:
    """End a proposal as rejected; its rows and report stay.

    Args:
        is_persons: whether a person refused its texts, so that later runs exclude them; False if nobody read them.
        who: that person.

    Returns:
        The current set; unchanged if it no longer waited for a review.

    Raises:
        StoreError: the set cannot be read or written; it still waits for a review.
    """
    refused = [row["id"] for row in read_rows(stored, PROPOSED)] if is_persons else []
    with changing(stored.folder) as (manifest, _):
        if manifest.get("status") != "proposed":
            return StoredSet(stored.folder, manifest, written=False)
        review = {"why": why, "refused": refused, "who": who}
        return _end(stored, {**manifest, "status": "rejected"}, review, read_decisions(stored), [])


def attach_proposal(
    stored: StoredSet,
    rows: Sequence[Row],
    review: Mapping[str, object],
    checked_against: Sequence[str],
    decisions: Sequence[Decision],
    may_enter: Callable[[], bool],
) -> StoredSet | None:
    """Attach the remaining rows of a proposal; its report stays, and the manifest lists the rows that were left out.

    Args:
        review: the manifest's new entry on the review; ``refused`` lists the ids of the rows that were left out.
        checked_against: the run ids of the sets that the gate has seen.
        decisions: the decisions that led to these rows.
        may_enter: returns whether the set may still be attached; called while no other writer can add to the model.

    Returns:
        The current set. None if ``may_enter`` returned False or there are new decisions; it still waits for a review.

    Raises:
        StoreError: the set cannot be read or written; it still waits for a review.
    """
    with changing(stored.folder) as (manifest, confirm):
        if manifest.get("status") != "proposed":
            return StoredSet(stored.folder, manifest, written=False)
        if list(decisions) != read_decisions(stored) or not may_enter():
            return None
        content = write_parquet(make_sample_table(rows))
        files = {**manifest["files"], SAMPLES: describe_file(content, len(rows))}
        inputs = {**manifest["inputs"], "checked_beside": list(checked_against)}
        changed = {**manifest, "status": "attached", "files": files, "inputs": inputs}
        confirm()
        write_whole(stored.file(SAMPLES), content)
        return _end(stored, changed, review, decisions, rows)


def _end(
    stored: StoredSet,
    manifest: Mapping[str, Any],
    review: Mapping[str, object],
    decisions: Sequence[Decision],
    rows: Sequence[Row],
) -> StoredSet:
    ended = {
        **manifest,
        "counts": count_poles(rows),
        "rows_sha256": digest_ids([row["id"] for row in rows]),
        "review": {**manifest["review"], **review, "when": datetime.now(UTC).isoformat(timespec="seconds")},
        "decisions": [decision.to_entry() for decision in decisions],
    }
    sealed = seal({**ended, ATTACHED_NS: time.time_ns()} if is_attached(manifest) else ended)
    write_whole(stored.file(MANIFEST), sealed)
    return StoredSet(stored.folder, unseal(sealed))


def _list_accepted(stored: StoredSet) -> Iterator[tuple[int, Seed]]:
    """Yield the ids and texts of samples that a person accepted or moved to the opposite pole."""
    review = stored.manifest["review"]
    left_out, moved = set(review["left_out"]), set(review["other_pole"])
    counted = sum_up(read_decisions(stored))
    accepted = set(list_decided(counted, "accept"))
    rows = [row for row in read_rows(stored, PROPOSED) if row["id"] in (accepted | moved) - left_out]
    old_ids = {entry["id"]: entry["was"] for entry in review.get("corrected", ())}
    for row in correct_rows(stored.handle, rows, counted):
        quality = row["quality"]
        if row["text"] is not None and quality is not None:
            chosen = 1 - quality if old_ids.get(row["id"], row["id"]) in moved else quality
            yield row["id"], Seed(str(row["trait"]), row["text"], chosen, f"run {stored.run_id}")


def _read_lines(stored: StoredSet) -> bytes:
    try:
        return read_bytes(stored.file(DECISIONS))
    except FileNotFoundError:
        return b""
