"""A person's decision on a proposal: the remaining samples, the refused ones, and moves to the other pole."""

import re
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fakes.builders import make_exemplar, make_level, make_model, make_stamp, make_test_plan, make_trait

from engine.domain.model import POLES, digest_text
from engine.domain.samples import Row, make_id, make_row
from engine.domain.votes import Vote
from engine.errors import InputError
from engine.review.apply import PersonReview, add_decisions, apply_review
from engine.review.correct import apply_corrections, explain_rejection
from engine.screening.screener import Screener
from engine.store.changes import Removal, remove_stored
from engine.store.existing import read_existing
from engine.store.layout import PROPOSED, REJECTED
from engine.store.proposals import (
    attach_proposal,
    keep_decision,
    list_all,
    read_decisions,
    read_refused,
    read_rows,
    reject_proposal,
)
from engine.store.sample_set import SampleSet, count_poles
from engine.store.store import StoredSet, write_set
from engine.store.verify import StoreVerifier
from engine.text.formatting import name_reason

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
    review = {"until": (NOW + timedelta(days=1)).isoformat()}
    rejected = make_row(make_exemplar(LEFT_BEFORE, reason="too_short"), STAMP, None)
    rows = [make_row(item, STAMP, f"plan/{item.pair_id}") for item in exemplars]
    made = SampleSet(STAMP, "train", "proposed", "a" * 32, rows, [rejected], {}, {}, inputs, review)
    return write_set(str(store), made)


def name_id(text: str) -> int:
    return make_id(STAMP.handle, "clarity", text)


def list_texts(standing: list[Row], pole: str) -> list[str | None]:
    return [row["text"] for row in standing if row["pole"] == pole]


def test_all_stands_where_nothing_is_refused_and_what_is_left_out_leaves_the_other_text_of_its_pair(
    tmp_path: Path,
) -> None:
    stored = make_proposal(tmp_path)
    less, refused = apply_review(stored, PersonReview(left_out=(name_id(PLAIN[0]),)))
    alone = [row["text"] for row in less if row["pair_id"] is None]

    assert (read_rows(stored, PROPOSED), []) == apply_review(stored, PersonReview())
    assert [name_id(PLAIN[0])] == refused
    assert ({"clarity": {"positive": 3, "negative": 4}}, [STIFF[0]]) == (count_poles(less), alone)
    with pytest.raises(InputError, match="would keep no positive sample of clarity"):
        apply_review(stored, PersonReview(left_out=tuple(name_id(text) for text in (*PLAIN, *STIFF))))
    with pytest.raises(InputError, match="has no sample 12"):
        apply_review(stored, PersonReview(other_pole=(12,)))


def test_text_of_the_other_pole_goes_there_only_where_one_of_its_own_was_left_out(tmp_path: Path) -> None:
    moved, refused = name_id(PLAIN[0]), name_id(STIFF[3])
    stored = make_proposal(tmp_path)
    room, _ = apply_review(stored, PersonReview(left_out=(refused,), other_pole=(moved,)))
    full, left_out = apply_review(stored, PersonReview(other_pole=(moved,)))
    both, _ = apply_review(stored, PersonReview(left_out=(moved,), other_pole=(moved,)))

    assert {PLAIN[0], *STIFF[:3]} == {*list_texts(room, "negative")}
    assert [*PLAIN[1:]] == list_texts(room, "positive") == list_texts(full, "positive")
    assert [*STIFF] == list_texts(full, "negative") == list_texts(both, "negative")
    assert [moved] == left_out
    [there] = [row for row in room if row["text"] == PLAIN[0]]
    assert (0.0, None) == (there["quality"], there["pair_id"])


def test_what_stands_is_attached_and_the_manifest_says_what_does_not(tmp_path: Path) -> None:
    store, stored = str(tmp_path / "samples"), make_proposal(tmp_path / "samples")
    review = PersonReview(left_out=(name_id(PLAIN[0]),), why="vague")
    standing, refused = apply_review(stored, review)
    entry = {**review.to_entry(), "refused": refused}
    assert None is attach_proposal(stored, standing, entry, (), [], lambda: False)
    keep_decision(stored, name_id(PLAIN[1]), "accept", "key")
    assert None is attach_proposal(stored, standing, entry, (), [], lambda: True)
    attached = attach_proposal(stored, standing, entry, (), read_decisions(stored), lambda: True)
    assert attached
    read = read_existing(store, STAMP.handle)

    assert "attached" == attached.status
    assert stored.manifest["written_ns"] == attached.manifest["written_ns"] < attached.manifest["attached_ns"]
    assert [] == list(StoreVerifier(store).find_faults())
    assert ["too_short"] == [row["reason"] for row in read_rows(attached, REJECTED)]
    said = attached.manifest["review"]
    assert ("vague", [name_id(PLAIN[0])]) == (said["why"], said["refused"])
    assert ["accept"] == [decision["said"] for decision in attached.manifest["decisions"]]
    assert ((PLAIN[0],), 7) == (read.refused, len(read.attached))


def test_corrected_text_is_attached_under_its_own_id_and_the_one_that_it_was_stays_in_the_proposal(
    tmp_path: Path,
) -> None:
    store, stored = str(tmp_path / "samples"), make_proposal(tmp_path / "samples")
    wanted, near = "Push the button and the big door opens at once.", STIFF[1].replace(".", "!")
    before = replace(make_model(handle=STAMP.handle), existing=read_existing(store, STAMP.handle))
    was, taken_back = name_id(PLAIN[0]), name_id(PLAIN[1])
    wrong = {
        "unreadable": " ",
        "meta_talk": "Here is an example of what you asked for.",
        "too_long": "Push the green button on the left side and wait until both doors have opened by themselves.",
        "near_duplicate": f"{STIFF[2]} again",
    }
    why = [explain_rejection(before, stored, was, text) for text in wrong.values()]
    gone = explain_rejection(make_model(make_trait("warmth"), handle=STAMP.handle), stored, was, wanted)
    assert "" == explain_rejection(before, stored, was, wanted)
    with pytest.raises(InputError, match="has no sample 12"):
        explain_rejection(before, stored, 12, wanted)
    keep_decision(stored, was, "correct", "key", wanted)
    keep_decision(stored, was, "accept", "key")
    keep_decision(stored, taken_back, "correct", "key", "Another text that nobody wants.")
    keep_decision(stored, taken_back, "undecided", "key")
    keep_decision(stored, name_id(STIFF[1]), "correct", "key", near)
    decisions = read_decisions(stored)
    review = add_decisions(PersonReview(), stored, decisions)
    standing, refused = apply_review(stored, review)
    rows, corrected = apply_corrections(stored, standing, decisions)
    entry = {**review.to_entry(), "refused": refused, **corrected}
    attached = attach_proposal(stored, rows, entry, (), decisions, lambda: True)
    assert attached
    model = replace(make_model(handle=STAMP.handle), existing=read_existing(store, STAMP.handle))
    again = Screener(make_test_plan(model), use_lengths=False).screen([make_exemplar(wanted), make_exemplar(PLAIN[2])])

    assert [name_reason(reason) for reason in wrong] == [re.findall("a rule, (.+?)[.]", said)[0] for said in why]
    assert "stays as it was, since its model has no trait clarity any more. Put it back" in gone
    new = name_id(wanted)
    [row] = [item for item in rows if item["id"] == new]
    assert (wanted, digest_text(wanted), "synthesized", None) == tuple(
        row[name] for name in ("text", "content_sha256", "provenance", "judge_votes")
    )
    assert {*PLAIN[1:], *STIFF, wanted, near} - {STIFF[1]} == {item["text"] for item in rows}
    mended = [{"id": new, "was": was}, {"id": name_id(near), "was": name_id(STIFF[1])}]
    assert mended == attached.manifest["review"]["corrected"]
    # What is like the new text would not come again anyway, and may once that one is gone.
    assert (PLAIN[0],) == model.existing.refused
    assert wanted == attached.manifest["decisions"][0]["text"]
    assert PLAIN[0] in {item["text"] for item in read_rows(attached, PROPOSED)}
    assert [] == list(StoreVerifier(store).find_faults())
    # The hashes beside the set are those of what was proposed.
    assert ["duplicate", "duplicate"] == [item.reason for item in again]
    assert [wanted, near] == [seed.text for seed in model.existing.reviewed]
    remove_stored(attached, Removal((new,), NOW))
    assert [near] == [seed.text for seed in read_existing(store, STAMP.handle).reviewed]
    assert [] == list(StoreVerifier(store).find_faults())


@pytest.mark.parametrize("refused", [True, False])
def test_rejected_proposal_keeps_its_rows_and_only_a_person_refuses_texts(tmp_path: Path, refused: bool) -> None:
    store = str(tmp_path / "samples")
    ended = reject_proposal(make_proposal(tmp_path / "samples"), "no", refused)
    rows, texts = read_rows(ended, REJECTED), read_refused(list_all(store, STAMP.handle))
    plan = make_test_plan(replace(make_model(handle=STAMP.handle), existing=read_existing(store, STAMP.handle)))
    [again] = Screener(plan, use_lengths=False).screen([make_exemplar(STIFF[0], "negative")])

    assert [] == list(StoreVerifier(store).find_faults())
    assert [] == list_all(store, STAMP.handle, ["proposed"])
    assert ["too_short"] == [row["reason"] for row in rows]
    assert (sorted([*PLAIN, *STIFF]) if refused else []) == list(texts)
    assert ("refused_before" if refused else None) == again.reason
