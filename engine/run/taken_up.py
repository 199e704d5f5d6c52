"""A proposal taken up again with a person's word on it: what stands stays, and what then lacks is asked for."""

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from engine.definitions.effort import Level
from engine.domain.model import POLES, Model, Pole
from engine.domain.samples import STORED, Exemplar, Row, RunStamp, read_exemplar
from engine.errors import InputError
from engine.planning.plan import RoundHistory
from engine.report.costs import Spending, read_total
from engine.store.decisions import list_decided, read_decision_file, read_decisions, sum_up
from engine.store.layout import PROPOSED, REJECTED, VERDICT
from engine.store.proposals import LEFT_OUT, read_rows
from engine.store.store import StoredSet
from engine.system.filesystem import read_bytes

NAMED_IDS = 5


@dataclass(frozen=True, slots=True)
class PersonReview:
    """A person's word on a proposal.

    Args:
        attach: whether what stands is attached; else all of the proposal is rejected.
        left_out: the ids of samples that are refused.
        other_pole: the ids of samples that read as the other pole than the one they were asked for at.
        again: whether the set is proposed once more where new samples have taken the places of refused ones.
    """

    attach: bool = True
    left_out: tuple[int, ...] = ()
    other_pole: tuple[int, ...] = ()
    why: str = ""
    again: bool = False

    def to_entry(self) -> dict[str, Any]:
        """The word as the manifest keeps it."""
        return {"left_out": sorted(self.left_out), "other_pole": sorted(self.other_pole), "why": self.why}


@dataclass(frozen=True, slots=True)
class TakenUp:
    """What a run begins from that goes on with a proposal.

    Args:
        standing: in the order of the proposal, with numbers below 0.
        rejected: the rows that the run has rejected by now, those that the person left out last.
        lacks: whether some trait and pole has fewer than its quota.
        entry: what the manifest says of the review from here on.
        spent: what had been spent for the proposal.
        carried: the files of the proposal that stay in the set: its rows, and what was decided one by one.
    """

    standing: tuple[Exemplar, ...]
    rejected: tuple[Row, ...]
    history: RoundHistory
    lacks: bool
    entry: Mapping[str, Any]
    spent: Spending
    carried: Mapping[str, bytes]

    @property
    def ids(self) -> tuple[int, ...]:
        """The ids of the samples that stand, as they were proposed."""
        return tuple(int(item.cell_id.rpartition("/")[2]) for item in self.standing)


def restore_stamp(manifest: Mapping[str, Any]) -> RunStamp:
    """What all rows of the run have in common."""
    return RunStamp(
        run_id=manifest["run_id"],
        handle=manifest["handle"],
        synth_type=manifest["synth_type"],
        effort=manifest["effort"],
        created_at=datetime.fromisoformat(manifest["created_at"]),
    )


def read_quotas(inputs: Mapping[str, Any], model: Model) -> dict[tuple[str, Pole], int] | None:
    """The quotas of a set that only filled up, by its manifest's inputs; None where each was the effort's."""
    named = inputs.get("lacking")
    if named is None:
        return None
    return {(trait.key, pole): named.get(trait.key, {}).get(pole, 0) for trait in model.traits for pole in POLES}


def take_up(stored: StoredSet, review: PersonReview, model: Model) -> TakenUp:
    """What stands of a proposal, and what is rejected by now.

    A sample that reads as the other pole is kept for that one where its quota lacks a sample, else left out.

    Raises:
        InputError: the review names a sample that is not in the proposal.
        StoreError: the proposal's files cannot be read.
    """
    content = read_bytes(stored.file(PROPOSED))
    rows = read_rows(stored, PROPOSED)
    check_ids(stored.run_id, [row["id"] for row in rows], (*review.left_out, *review.other_pole))
    inputs = stored.manifest["inputs"]
    wanted = Level(**inputs["level"]).exemplars_per_pole
    quotas = read_quotas(inputs, model) or {(trait.key, pole): wanted for trait in model.traits for pole in POLES}
    placed = [(row, read_exemplar(row, number - len(rows))) for number, row in enumerate(rows)]
    named = {*review.left_out, *review.other_pole}
    standing = [item for row, item in placed if row["id"] not in named]
    counts = Counter((item.trait, item.pole) for item in standing)
    for row, item in placed:
        moved = _move(item, row["id"])
        if row["id"] in {*review.other_pole} - {*review.left_out} and counts[moved.trait, moved.pole] < quotas.get(
            (moved.trait, moved.pole), 0
        ):
            counts[moved.trait, moved.pole] += 1
            standing.append(moved)
    kept = {item.cell_id for item in standing}
    left_out: list[Row] = [{**row, "reason": LEFT_OUT} for row, item in placed if item.cell_id not in kept]
    earlier = stored.manifest["review"]
    history = RoundHistory(earlier["history"]["scenarios"], earlier["history"]["cells"])
    spent = _read_spent(stored)
    entry = {
        **review.to_entry(),
        "spent": asdict(spent),
        "refused": len(left_out),
        "number": earlier["number"],
        "history": earlier["history"],
        "proposal": {"plan_id": stored.manifest["plan_id"], "inputs": dict(stored.manifest["inputs"])},
        "rejected_before": len(read_rows(stored, REJECTED)),
    }
    return TakenUp(
        standing=tuple(sorted(standing, key=lambda item: item.order)),
        rejected=(*read_rows(stored, REJECTED), *left_out),
        history=history,
        lacks=any(counts[cell] < quota for cell, quota in quotas.items()),
        entry=entry,
        spent=spent,
        carried={PROPOSED: content, **read_decision_file(stored)},
    )


def add_decisions(review: PersonReview, stored: StoredSet) -> PersonReview:
    """The review with what was decided sample by sample; what the review itself names counts first.

    Raises:
        StoreError: the decisions, or the proposal, cannot be read.
    """
    named, ids = {*review.left_out, *review.other_pole}, {row["id"] for row in read_rows(stored, PROPOSED)}
    decided = {key: said for key, said in sum_up(read_decisions(stored)).items() if key in ids - named}
    return replace(
        review,
        left_out=(*review.left_out, *list_decided(decided, "refuse")),
        other_pole=(*review.other_pole, *list_decided(decided, "other_pole")),
    )


def check_ids(run_id: str, known: Collection[int], named: Sequence[int]) -> None:
    """Checks that each named sample is one of a proposal.

    Raises:
        InputError: some are not; the message names the first ones.
    """
    if unknown := sorted({*named} - {*known}):
        first = ", ".join(map(str, unknown[:NAMED_IDS]))
        more = f" and {len(unknown) - NAMED_IDS} more" if len(unknown) > NAMED_IDS else ""
        raise InputError(
            f"The proposal of run {run_id} has no sample {first}{more}. Its report shows the id of each sample. "
            "Nothing was changed"
        )


def _read_spent(stored: StoredSet) -> Spending:
    """What had been spent for a proposal: by its verdict or, in what has come of it, by the manifest."""
    if stored.status != "proposed":
        return Spending(**stored.manifest["review"].get("spent", {}))
    if VERDICT not in stored.manifest["files"]:
        return Spending()
    return read_total(json.loads(read_bytes(stored.file(VERDICT)))["cost"])


def _move(exemplar: Exemplar, sample_id: int) -> Exemplar:
    """The exemplar at the other pole, where it has no pair."""
    pole: Pole = "negative" if exemplar.pole == "positive" else "positive"
    return replace(exemplar, pole=pole, pair_id=f"{STORED}/{sample_id}")
