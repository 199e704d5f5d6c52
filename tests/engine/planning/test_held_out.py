"""Texts and subjects for evaluation are kept apart from those for training, in both directions."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fakes.builders import (
    POSITIVE_SEEDS,
    SCENARIO_POOL,
    SUBJECTS,
    make_exemplar,
    make_level,
    make_model,
    make_seeds,
    make_stamp,
)

from engine.definitions.scenario_packs import load_packs
from engine.domain.model import SYNTH_TYPES, Attached, Model, OwnScenarios, SynthType
from engine.domain.samples import Exemplar, Row, make_row
from engine.planning.held_out import (
    OverlapIndex,
    choose_pool,
    exclude_taken_subjects,
    list_other_pool_texts,
    make_sides_frame,
    restrict_to_pool,
)
from engine.planning.plan import Plan, make_plan
from engine.run.job import read_pools
from engine.screening.screener import Screener
from engine.store.sample_set import SampleSet
from engine.store.store import list_sets, write_set

SCENARIOS = Path(__file__).parents[3] / "data" / "scenarios"
TEXT = (
    "The spare battery of the scanner lies in the second drawer, beside the charger and below the old printed manual."
)
# Every fourth word is another: no near duplicate, but it still tells the answer.
ECHO = "The spare lantern of the scanner lies under the second drawer, beside a charger and below her old printed list."
OTHER = "Ask the night porter for the key whenever the side door has been locked early, and bring it back by noon."
RUN_OF_8 = (
    f"Nobody knew that {' '.join(TEXT.split()[3:11])} until somebody from another town came along and asked for it."
)
RUN_OF_7 = (
    f"Nobody knew that {' '.join(TEXT.split()[3:10])} until somebody from another town came along and asked for it."
)
TRAIN: tuple[SynthType, ...] = ("from_traits", "diversify")


def store(text: str, subject: str = "a subject") -> Attached:
    return Attached("clarity", text, 1.0, subject)


def make_split_model(
    attached: Sequence[Attached] = (), held_out: Sequence[Attached] = (), seeds: bool = False
) -> Model:
    return make_model(attached=tuple(attached), held_out=tuple(held_out), seeds=make_seeds() if seeds else ())


def plan_for(model: Model, synth_type: SynthType) -> Plan:
    return make_plan(model, synth_type, make_level(), SCENARIO_POOL, 0, "prompts-1")


def screen(model: Model, synth_type: SynthType, *texts: str) -> list[Exemplar]:
    screener = Screener(plan_for(model, synth_type), use_lengths=False)
    return screener.screen([make_exemplar(text, index=index) for index, text in enumerate(texts)])


def make_rows(*texts: str, subject_index: int = 0) -> list[Row]:
    return [make_row(make_exemplar(text, index=subject_index), make_stamp(), None) for text in texts]


@pytest.mark.parametrize("text", [TEXT, TEXT.upper(), ECHO, RUN_OF_8])
def test_text_from_across_the_line_is_found(text: str) -> None:
    overlap = OverlapIndex([OTHER, TEXT]).find(text)

    assert overlap is not None
    assert TEXT == overlap.other
    assert TEXT in overlap.detail


@pytest.mark.parametrize("text", [OTHER, RUN_OF_7])
def test_text_that_only_shares_some_words_is_not(text: str) -> None:
    assert OverlapIndex([TEXT]).find(text) is None


def test_nothing_is_near_to_nothing() -> None:
    assert OverlapIndex([]).find(TEXT) is None


@pytest.mark.parametrize("synth_type", TRAIN)
@pytest.mark.parametrize("text", [TEXT, ECHO, RUN_OF_8])
def test_training_text_near_a_held_out_one_is_rejected(synth_type: SynthType, text: str) -> None:
    rejected, kept = screen(make_split_model(held_out=[store(TEXT)]), synth_type, text, OTHER)

    assert ("held_out_overlap", None) == (rejected.reason, kept.reason)
    assert TEXT in rejected.detail


@pytest.mark.parametrize("text", [TEXT, ECHO, RUN_OF_8])
def test_held_out_text_near_an_attached_one_is_rejected(text: str) -> None:
    rejected, kept = screen(make_split_model(attached=[store(TEXT)]), "enrich", text, OTHER)

    assert ("held_out_overlap", None) == (rejected.reason, kept.reason)


def test_held_out_text_near_an_authored_one_is_rejected() -> None:
    echo = POSITIVE_SEEDS[0].replace("ten", "two").replace("cache", "store").replace("again", "anew")
    copied, overlapping = screen(make_split_model(seeds=True), "enrich", POSITIVE_SEEDS[0], echo)

    assert "seed_copy" == copied.reason
    assert overlapping.reason in ("seed_copy", "held_out_overlap")


def test_held_out_text_like_an_earlier_held_out_one_is_a_duplicate() -> None:
    reasons = [item.reason for item in screen(make_split_model(held_out=[store(TEXT)]), "enrich", TEXT, ECHO)]

    assert ["duplicate", None] == reasons


def test_echo_of_an_attached_text_is_no_overlap_in_training() -> None:
    assert [None] == [item.reason for item in screen(make_split_model(attached=[store(TEXT)]), "from_traits", ECHO)]


def test_other_side_of_each_synth_type() -> None:
    model = make_split_model([store(TEXT)], [store(OTHER)], seeds=True)

    assert {"from_traits": "train", "diversify": "train", "enrich": "eval"} == {
        str(name): choose_pool(name) for name in (*TRAIN, "enrich")
    }
    assert 3 == len(SYNTH_TYPES)
    for synth_type, authored, stored in (*((name, [], OTHER) for name in TRAIN), ("enrich", make_seeds(), TEXT)):
        texts, others = list_other_pool_texts(model, synth_type)
        assert tuple(seed.text for seed in authored) == texts
        assert [stored] == list(others.read(np.arange(len(others))).values())


def test_pool_of_each_synth_type() -> None:
    model = make_split_model([store(TEXT)], [store(OTHER)], seeds=True)

    assert model == restrict_to_pool(model, "from_traits")
    assert ((), (store(OTHER),)) == (
        restrict_to_pool(model, "enrich").seeds,
        restrict_to_pool(model, "enrich").attached,
    )


def list_subjects(model: Model, synth_type: SynthType, wanted: int = 2) -> list[str]:
    scenario_pool = exclude_taken_subjects(SCENARIO_POOL, model, synth_type, load_packs(SCENARIOS), wanted)
    return [subject for tier in scenario_pool.subjects for subject in tier]


def test_held_out_subjects_are_none_for_training() -> None:
    model = make_split_model(held_out=[store(OTHER, SUBJECTS[1].upper())])

    for synth_type in TRAIN:
        assert [subject for subject in SUBJECTS if subject != SUBJECTS[1]] == list_subjects(model, synth_type)


def test_subjects_of_attached_and_earlier_held_out_sets_are_none_for_enrich() -> None:
    model = make_split_model([store(TEXT, SUBJECTS[0])], [store(OTHER, SUBJECTS[1])])

    assert list(SUBJECTS[2:]) == list_subjects(model, "enrich")


def test_attached_subjects_may_be_used_again_in_training() -> None:
    model = make_split_model([store(TEXT, SUBJECTS[0])])

    assert list(SUBJECTS) == list_subjects(model, "from_traits")


def test_author_s_few_subjects_are_used_up_before_any_of_a_pack() -> None:
    model = make_split_model([store(TEXT, subject) for subject in SUBJECTS[:-1]])
    said = replace(model, scenarios=OwnScenarios(subjects=SUBJECTS))

    assert [SUBJECTS[-1]] == list_subjects(said, "enrich", wanted=8)
    assert 8 <= len(list_subjects(model, "enrich", wanted=8))


def test_subjects_of_other_packs_are_added_where_too_few_are_left() -> None:
    model = make_split_model([store(TEXT, subject) for subject in SUBJECTS])
    few, many = list_subjects(model, "enrich", wanted=2), list_subjects(model, "enrich", wanted=500)

    assert set() == set(SUBJECTS) & {*few, *many}
    assert 2 <= len(few) < 500 <= len(many) == len(set(many))


def test_subjects_are_enough_without_other_packs() -> None:
    assert set(list_subjects(make_split_model([store(TEXT, SUBJECTS[0])]), "enrich", wanted=4)) == set(SUBJECTS[1:])


def test_each_pool_changes_the_plan() -> None:
    models = [make_model(), make_model(attached_digests=("a",)), make_model(held_out_digests=("a",))]

    for synth_type in (*TRAIN, "enrich"):
        assert 3 == len({plan_for(model, synth_type).plan_id for model in models})


def test_both_sides_are_in_the_frame() -> None:
    model = make_split_model([store(TEXT, "one")], [store(OTHER, "two")], seeds=True)
    frame = make_sides_frame(model, "enrich", make_rows("A new text."))

    assert frame is not None
    assert [("train", "authored")] * 6 + [("train", "attached"), ("eval", "attached"), ("eval", "run")] == list(
        zip(frame["side"], frame["origin"], strict=True)
    )
    assert ["", "one", "two", SUBJECTS[0]] == list(frame["subject"])[5:]


def test_training_has_a_frame_only_where_something_is_held_out() -> None:
    assert make_sides_frame(make_split_model([store(TEXT)], seeds=True), "from_traits", make_rows(OTHER)) is None
    frame = make_sides_frame(make_split_model(held_out=[store(TEXT)]), "diversify", make_rows(OTHER))

    assert frame is not None
    assert ["eval", "train"] == list(frame["side"])
    assert make_sides_frame(make_split_model(), "enrich", make_rows(OTHER)) is not None


def test_pools_are_read_apart(tmp_path: Path) -> None:
    for pool, text in (("train", TEXT), ("eval", OTHER)):
        stamp = make_stamp(f"run-{pool}")
        rows = [make_row(make_exemplar(text), stamp, None)]
        write_set(str(tmp_path), SampleSet(stamp, pool, "attached", "plan", rows, (), {}, {}))  # type: ignore[arg-type]
    model = read_pools(str(tmp_path), make_model(handle="u22a8.test"))

    assert ([TEXT], [OTHER]) == ([item.text for item in model.attached], [item.text for item in model.held_out])
    assert 1 == len(model.held_out_digests) == len(list_sets(str(tmp_path), "u22a8.test", "train"))
    assert model.held_out_digests != model.attached_digests
