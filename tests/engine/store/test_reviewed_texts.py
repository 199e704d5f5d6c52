"""What a person has accepted one by one in reviews, and which of it counts in later runs."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from fakes.builders import make_exemplar, make_model, make_stamp, make_trait

from engine.asking.plan import digest_definition_and_samples
from engine.domain.model import Pool
from engine.domain.samples import Row, make_row
from engine.review.apply import PersonReview, add_decisions, apply_review
from engine.store.changes import Removal, detach_set, remove_stored
from engine.store.existing import read_existing
from engine.store.proposals import DecisionKind, attach_proposal, keep_decision, read_decisions, reject_proposal
from engine.store.sample_set import SampleSet
from engine.store.store import list_sets, write_set

HANDLE = make_stamp().handle
MODEL = make_model(make_trait("clarity"), handle=HANDLE)
TEXTS = ("Press the button.", "Wait a minute.", "We send you a mail.", "Ring the bell.")


def review(
    store: Path, said: Mapping[int, DecisionKind], run_id: str, attach: bool = True, pool: Pool = "train"
) -> list[Row]:
    """A set of positive texts that was reviewed, with what was said of some of them, by their numbers; its rows."""
    stamp = replace(make_stamp(run_id), handle=HANDLE)
    rows = [make_row(make_exemplar(text, "positive", n, "clarity"), stamp, None) for n, text in enumerate(TEXTS)]
    until = {"until": datetime.now(UTC).isoformat()}
    made = SampleSet(stamp, pool, "proposed", "plan", rows, [], {}, {}, {}, review=until)
    stored = write_set(str(store), made)
    for number, word in said.items():
        keep_decision(stored, rows[number]["id"], word, "key")
    decisions = read_decisions(stored)
    if attach:
        given = add_decisions(PersonReview(), stored, decisions)
        assert attach_proposal(stored, apply_review(stored, given)[0], given.to_entry(), (), decisions, lambda: True)
    else:
        reject_proposal(stored, "", True)
    return rows


def test_what_a_person_accepted_teaches_at_its_pole_while_it_is_attached_for_training(tmp_path: Path) -> None:
    def read(teach: bool = True) -> dict[str, float]:
        return {seed.text: seed.quality for seed in read_existing(str(tmp_path), MODEL.handle, teach).reviewed}

    rows = review(tmp_path, {0: "accept", 1: "refuse", 2: "other_pole", 3: "accept"}, "a")
    review(tmp_path, {1: "accept"}, "b", pool="eval")
    review(tmp_path, {1: "accept"}, "c", attach=False)
    [stored] = list_sets(str(tmp_path), HANDLE, "train")

    assert {TEXTS[0]: 1.0, TEXTS[2]: 0.0, TEXTS[3]: 1.0} == read()
    assert {} == read(teach=False)
    assert digest_definition_and_samples(MODEL) == digest_definition_and_samples(
        replace(MODEL, existing=read_existing(str(tmp_path), MODEL.handle))
    )
    remove_stored(stored, Removal((rows[0]["id"],), datetime.now(UTC)))
    assert {TEXTS[2]: 0.0, TEXTS[3]: 1.0} == read()
    detach_set(list_sets(str(tmp_path), HANDLE, "train")[0])
    assert {} == read()
