"""What a person leaves of a proposal: what stands, what is refused, and what may read as the other pole."""

from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fakes.builders import make_exemplar, make_level, make_model, make_stamp, make_test_plan
from fakes.word_vectors import WordVectors

from engine.domain.model import POLES
from engine.domain.samples import make_id, make_row
from engine.domain.votes import Vote
from engine.run.job import read_pools
from engine.run.taken_up import PersonReview, TakenUp, take_up
from engine.screening.screener import Screener
from engine.selection.rounds import Rounds
from engine.store.layout import PROPOSED, REJECTED
from engine.store.proposals import (
    list_all,
    list_proposals,
    list_waiting,
    read_refused,
    read_rows,
    reject_proposal,
)
from engine.store.sample_set import SampleSet
from engine.store.store import StoredSet, write_set
from engine.store.verify import StoreVerifier

STAMP, NOW = make_stamp(), datetime.now(UTC)
PLAIN = ("Press the button and the door opens.", "We send you a mail.", "The job runs every hour.", "Wait a minute.")
STIFF = (
    "Actuation of the portal is contingent upon engagement of the surface.",
    "Notification eventuates upon egress of the consignment.",
    "Replication of artefacts occurs pursuant to an hourly cadence.",
    "Temporisation precedes the reattempted initiation.",
)
LEFT_BEFORE = "A text that its own run has rejected before."


def make_proposal(store: Path, wanted: int = 4) -> StoredSet:
    """A proposal of four pairs of which one row has votes, and one rejected row."""
    exemplars = [
        replace(make_exemplar(text, pole, index), odds=1.5, votes=(Vote("openai/judge", pole, "negative"),))
        for pole, texts in zip(POLES, (PLAIN, STIFF), strict=True)
        for index, text in enumerate(texts)
    ]
    inputs = {"level": asdict(make_level(wanted)), "seed": 0, "planned_beside": [], "checked_beside": []}
    review = {
        "until": (NOW + timedelta(days=1)).isoformat(),
        "number": 1,
        "history": {"scenarios": {"clarity": 4}, "cells": 8},
    }
    rejected = make_row(make_exemplar(LEFT_BEFORE, reason="too_short"), STAMP, None)
    rows = [make_row(item, STAMP, f"plan/{item.pair_id}") for item in exemplars]
    made = SampleSet(STAMP, "train", "proposed", "a" * 32, rows, [rejected], {}, {}, inputs, review)
    return write_set(str(store), made)


def name_id(text: str) -> int:
    return make_id(STAMP.handle, "clarity", text)


def take(stored: StoredSet, review: PersonReview) -> TakenUp:
    return take_up(stored, review, make_model(handle=STAMP.handle))


def list_texts(taken: TakenUp, pole: str) -> list[str | None]:
    return [item.text for item in taken.standing if item.pole == pole]


def test_all_stands_where_nothing_is_refused_and_what_is_left_out_is_a_rejected_row_and_lacks(tmp_path: Path) -> None:
    stored = make_proposal(tmp_path)
    taken, less = take(stored, PersonReview()), take(stored, PersonReview(left_out=(name_id(PLAIN[0]),)))
    left_out = [(row["text"], row["reason"]) for row in less.rejected]

    assert [False, True] == [taken.lacks, less.lacks]
    assert read_rows(stored, PROPOSED) == [make_row(item, STAMP, item.pair_id) for item in taken.standing]
    assert max(item.order for item in taken.standing) < 0
    assert [(LEFT_BEFORE, "too_short"), (PLAIN[0], "left_out")] == left_out
    assert [*PLAIN[1:]] == list_texts(less, "positive")


def test_text_of_the_other_pole_goes_there_only_where_that_one_lacks(tmp_path: Path) -> None:
    moved, refused = name_id(PLAIN[0]), name_id(STIFF[3])
    room = take(make_proposal(tmp_path), PersonReview(left_out=(refused,), other_pole=(moved,)))
    full = take(make_proposal(tmp_path), PersonReview(other_pole=(moved,)))
    both = take(make_proposal(tmp_path), PersonReview(left_out=(moved,), other_pole=(moved,)))

    assert [PLAIN[0], *STIFF[:3]] == list_texts(room, "negative")
    assert [*PLAIN[1:]] == list_texts(room, "positive") == list_texts(full, "positive")
    assert [*STIFF] == list_texts(full, "negative") == list_texts(both, "negative")
    assert PLAIN[0] in [row["text"] for row in full.rejected]
    [there] = [item for item in room.standing if item.text == PLAIN[0]]
    assert (0.0, None) == (make_row(there, STAMP, None)["quality"], make_row(there, STAMP, None)["pair_id"])


def test_rounds_keep_what_stands_and_ask_for_what_lacks_in_new_scenarios(tmp_path: Path) -> None:
    taken = take(make_proposal(tmp_path), PersonReview(left_out=(name_id(PLAIN[0]),)))
    plan = make_test_plan(level=make_level(4, replacement_rounds=2))
    rounds = Rounds(plan, Screener(plan, use_lengths=False), WordVectors(), strict=False)
    rounds.begin_from(taken.standing, taken.rejected, taken.history)
    cells = rounds.next_cells()
    other = make_exemplar("The lamp goes off when you close the lid.", "positive", 10)
    rounds.take(rounds.screen([make_exemplar(PLAIN[1], "positive", 9), other]))

    assert {("clarity", "positive")} == {(cell.trait, cell.pole) for cell in cells}
    assert all(cell.pair_id >= "clarity/00004" for cell in cells)
    assert {*PLAIN[1:], *STIFF, other.text} == {item.text for item in rounds.choice.chosen}
    assert 1 == rounds.count_reasons()["duplicate"]


@pytest.mark.parametrize("refused", [True, False])
def test_rejected_proposal_keeps_its_rows_and_only_a_person_refuses_texts(tmp_path: Path, refused: bool) -> None:
    store = str(tmp_path / "samples")
    ended = reject_proposal(make_proposal(tmp_path / "samples"), "no", refused, {})
    rows, texts = read_rows(ended, REJECTED), read_refused(list_all(store, STAMP.handle))
    plan = make_test_plan(read_pools(store, make_model(handle=STAMP.handle)))
    [again] = Screener(plan, use_lengths=False).screen([make_exemplar(STIFF[0], "negative")])

    assert [] == list(StoreVerifier(store).find_faults())
    assert [] == [*list_proposals(store, STAMP.handle), *list_waiting(store)]
    assert ["too_short", *["left_out" if refused else "surplus"] * 8] == [row["reason"] for row in rows]
    assert (sorted([*PLAIN, *STIFF]) if refused else []) == list(texts)
    assert ("refused_before" if refused else None) == again.reason
