"""Proposed sets, which wait for a person: what people decide of them, how they end, and what stays known of it.

A decision is a line of a file, on the disk when it is told to be; the latest on a sample counts. When the review ends
they stand in the manifest.
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
Said = Literal["accept", "refuse", "other_pole", "correct", "undecided"]


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision on one sample; ``key`` is the id of the key that it was sent with, ``at`` a moment in UTC.

    ``text`` is what a person has written in the place of the sample's text, where that was ``correct``.
    """

    sample_id: int
    said: Said
    key: str
    at: str
    text: str = ""

    def to_entry(self) -> dict[str, Any]:
        """The decision as a line of its file, and the manifest, have it."""
        return {name: value for name, value in asdict(self).items() if name != "text" or value}


def list_all(samples_uri: str, handle: str, statuses: Sequence[str] = STATUSES) -> list[StoredSet]:
    """All sets of a model that have one of these statuses, pool by pool, in the order of their creation.

    Raises:
        StoreError: a folder or manifest cannot be read.
    """
    return [stored for pool in get_args(Pool) for stored in list_sets(samples_uri, handle, pool, statuses)]


def read_deadline(stored: StoredSet) -> datetime:
    """Until when a proposal waits."""
    return datetime.fromisoformat(str(stored.manifest["review"]["until"]))


def read_refused(sets: Iterable[StoredSet]) -> tuple[str, ...]:
    """The texts of a model that a person has refused, sorted: left out of a proposal, removed later, or corrected into
    one that is not near to it.

    Args:
        sets: all sets of the model; of those without a refused text only the manifest is looked at.

    Raises:
        StoreError: the rows of a proposal cannot be read.
    """
    texts: set[str] = set()
    for stored in sets:
        texts.update(entry["text"] for entry in stored.manifest.get("removals", ()) if entry["text"])
        review = stored.manifest.get("review", {})
        refused, were = set(review.get("refused", ())), {entry["was"] for entry in review.get("corrected", ())}
        if refused or were:
            counted = sum_up(read_decisions(stored)) if were else {}
            for row in read_rows(stored, PROPOSED):
                number, text = row["id"], row["text"] or ""
                if number in refused or (number in were and not find_pairs([counted[number].text, text])):
                    texts.add(text)
    return tuple(sorted(texts - {""}))


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
    removed = {entry["id"] for stored in mine for entry in stored.manifest.get("removals", ())}
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
        rows = read_table(read_bytes(stored.file(name))).to_pylist()
    return [{"reason": None, **row} for row in rows]


def keep_decision(stored: StoredSet, sample_id: int, said: Said, key: str, text: str = "") -> Decision:
    """Adds a decision; when this returns it is on the disk. The caller has checked a corrected ``text``.

    Raises:
        InputError: the set does not wait for a review any more. StoreError: it cannot be written.
    """
    decision = Decision(sample_id, said, key, datetime.now(UTC).isoformat(timespec="milliseconds"), text)
    place = f"The decision on sample {sample_id}"
    # The set does not become another one meanwhile, and nobody else adds a decision.
    with translate_errors(stored.folder, f"{place} was not kept: make it again"), lock_model(stored.folder):
        manifest = read_manifest(stored.folder)
        if manifest is None or manifest.get("status") != "proposed":
            raise InputError(f"The set of run {stored.run_id} takes no more decisions: its review has ended")
        line = (json.dumps(decision.to_entry()) + "\n").encode()
        write_whole(stored.file(DECISIONS), _read_lines(stored) + line)
    return decision


def read_decisions(stored: StoredSet) -> list[Decision]:
    """All decisions on a set, in the order in which they were made: its manifest's, once its review has ended.

    Raises:
        StoreError: they cannot be read.
    """
    if "decisions" in stored.manifest:
        return [Decision(**entry) for entry in stored.manifest["decisions"]]
    with translate_errors(stored.folder, UNREADABLE):
        return [Decision(**json.loads(line)) for line in _read_lines(stored).splitlines()]


def sum_up(decisions: Sequence[Decision]) -> dict[int, Decision]:
    """What counts on each sample that has a decision, by its id: the latest, with the corrected text if there is one.

    A sample whose text was corrected is accepted; one that is undecided again has the text that it had.
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


def list_decided(counted: Mapping[int, Decision], said: Said) -> list[int]:
    """The ids of the samples of which that counts, sorted."""
    return sorted(sample_id for sample_id, found in counted.items() if found.said == said)


def correct_rows(handle: str, rows: Iterable[Row], counted: Mapping[int, Decision]) -> list[Row]:
    """The rows with the corrected texts of ``sum_up``; votes on the old text are none on the new one."""

    def correct(row: Row) -> Row:
        text = counted[row["id"]].text if row["id"] in counted else ""
        if text in ("", row["text"]):
            return row
        number, digest = make_id(handle, row["trait"], text), digest_text(text)
        return {**row, "id": number, "text": text, "content_sha256": digest, "judge_votes": None}

    return list(map(correct, rows))


def reject_proposal(stored: StoredSet, why: str, is_persons: bool, who: str = "") -> StoredSet:
    """Ends a proposal as rejected; its rows stay where they are, and its report.

    Args:
        is_persons: whether a person has refused its texts, which then stay known; else nobody has looked at them.
        who: that person.

    Returns:
        The set as it is now: as it was before, where it did not wait any more.

    Raises:
        StoreError: the set cannot be read or written; it then still waits.
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
    beside: Sequence[str],
    decisions: Sequence[Decision],
    may_enter: Callable[[], bool],
) -> StoredSet | None:
    """Attaches what stands of a proposal; its report stays, and what was left out is known by the manifest.

    Args:
        review: what the manifest says of the review from here on; ``refused`` are the ids of what was left out.
        beside: the runs whose sets the gate has seen.
        decisions: those that the rows come from.
        may_enter: whether the set may still be attached, asked while nobody else adds to the model.

    Returns:
        The set as it is now; None where it may not enter, or more was decided meanwhile: it then still waits.

    Raises:
        StoreError: the set cannot be read or written; it then still waits.
    """
    with changing(stored.folder) as (manifest, confirm):
        if manifest.get("status") != "proposed":
            return StoredSet(stored.folder, manifest, written=False)
        if list(decisions) != read_decisions(stored) or not may_enter():
            return None
        content = write_parquet(make_sample_table(rows))
        files = {**manifest["files"], SAMPLES: describe_file(content, len(rows))}
        inputs = {**manifest["inputs"], "checked_beside": list(beside)}
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
    """The id and the text of each sample that was accepted, or marked as the other pole, in a set's last review."""
    review = stored.manifest["review"]
    left_out, moved = set(review["left_out"]), set(review["other_pole"])
    counted = sum_up(read_decisions(stored))
    accepted = set(list_decided(counted, "accept"))
    rows = [row for row in read_rows(stored, PROPOSED) if row["id"] in (accepted | moved) - left_out]
    were = {entry["id"]: entry["was"] for entry in review.get("corrected", ())}
    for row in correct_rows(stored.handle, rows, counted):
        quality = row["quality"]
        if row["text"] is not None and quality is not None:
            given = 1 - quality if were.get(row["id"], row["id"]) in moved else quality
            yield row["id"], Seed(str(row["trait"]), row["text"], given, f"run {stored.run_id}")


def _read_lines(stored: StoredSet) -> bytes:
    try:
        return read_bytes(stored.file(DECISIONS))
    except FileNotFoundError:
        return b""
