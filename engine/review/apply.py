"""Apply a person's decision to a proposed set: the remaining rows, and the ids of samples left out."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from engine.choosing.diversity import measure_texts
from engine.domain.definition import Pole
from engine.domain.model import Model
from engine.domain.samples import Row
from engine.domain.verdict import PoleDiversity
from engine.errors import InputError
from engine.store.layout import PROPOSED
from engine.store.proposals import Decision, list_decided, read_rows, sum_up
from engine.store.store import StoredSet
from engine.text.embedding import Embedder
from engine.text.formatting import name_some
from engine.text.language import decide_language

NAMED_IDS = 5


@dataclass(frozen=True, slots=True)
class PersonReview:
    """A person's decision on a proposal.

    Args:
        attach: whether to attach the remaining samples; else the whole proposal is rejected.
        left_out: the ids of refused samples.
        other_pole: the ids of samples that read as the other pole than the requested one.
        fill: whether a run then fills the model up to the effort's number.
        who: the person.
    """

    attach: bool = True
    left_out: tuple[int, ...] = ()
    other_pole: tuple[int, ...] = ()
    why: str = ""
    fill: bool = False
    who: str = ""

    def to_entry(self) -> dict[str, Any]:
        """Return the decision as the manifest stores it."""
        entry = asdict(self) | {"left_out": sorted(self.left_out), "other_pole": sorted(self.other_pole)}
        del entry["attach"]
        return entry


def apply_review(stored: StoredSet, review: PersonReview) -> tuple[list[Row], list[int]]:
    """Return the remaining rows of a proposal, and the ids of the samples left out.

    If a pair loses one text, its other text stays.

    A sample that reads as the other pole moves there if a sample of that pole was left out; else it is left out.

    Raises:
        InputError: the decision names a sample that is not in the proposal, or a pole would be empty.
        StoreError: the proposal cannot be read.
    """
    rows, named = read_rows(stored, PROPOSED), {*review.left_out, *review.other_pole}
    if unknown := sorted(named - {row["id"] for row in rows}):
        raise InputError(
            f"The proposal of run {stored.run_id} has no sample {name_some(list(map(str, unknown)), NAMED_IDS)}. Its "
            "report shows the id of each sample. Nothing was changed"
        )
    room = Counter((row["trait"], row["pole"]) for row in rows if row["id"] in named)
    remaining: list[Row] = []
    for row in rows:
        moved = _move(row)
        cell = moved["trait"], moved["pole"]
        if row["id"] not in named:
            remaining.append(row)
        elif row["id"] not in review.left_out and room[cell]:
            room[cell] -= 1
            remaining.append(moved)
    for trait, pole in dict.fromkeys((row["trait"], row["pole"]) for row in rows):
        if not any((row["trait"], row["pole"]) == (trait, pole) for row in remaining):
            raise InputError(
                f"The proposal of run {stored.run_id} would keep no {pole} sample of {trait}, and a trait is not "
                "learned from one pole. Leave out fewer, or reject it. Nothing was changed"
            )
    kept = {row["id"] for row in remaining}
    poles = Counter(pair for pair, _ in {(row["pair_id"], row["pole"]) for row in remaining})
    whole = [row if poles[row["pair_id"]] > 1 else {**row, "pair_id": None} for row in remaining]
    return whole, [row["id"] for row in rows if row["id"] not in kept]


def add_decisions(review: PersonReview, stored: StoredSet, decisions: Sequence[Decision]) -> PersonReview:
    """Return the decision with the decisions on single samples added; the ids in ``review`` take precedence.

    Raises:
        StoreError: the proposal cannot be read.
    """
    named, ids = {*review.left_out, *review.other_pole}, {row["id"] for row in read_rows(stored, PROPOSED)}
    counted = {number: item for number, item in sum_up(decisions).items() if number in ids - named}
    return replace(
        review,
        left_out=(*review.left_out, *list_decided(counted, "refuse")),
        other_pole=(*review.other_pole, *list_decided(counted, "other_pole")),
    )


def measure_kept(model: Model, rows: Sequence[Row], embedder: Embedder) -> tuple[PoleDiversity, ...]:
    """Measure the diversity of the remaining rows, for the gate; the proposal has the other measurements."""
    encoder = embedder if decide_language(model).encoder_supports_language else None
    return tuple(
        PoleDiversity(*cell, measure_texts(texts, encoder), None)
        for cell in model.poles
        if (texts := [row["text"] or "" for row in rows if (row["trait"], row["pole"]) == cell])
    )


def _move(row: Row) -> Row:
    pole: Pole = "negative" if row["pole"] == "positive" else "positive"
    return {**row, "pole": pole, "quality": 1 - (row["quality"] or 0.0), "pair_id": None}
