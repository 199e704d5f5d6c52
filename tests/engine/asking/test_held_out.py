"""Texts and subjects for evaluation are kept apart from those for training, in both directions."""

from collections.abc import Sequence
from dataclasses import replace

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

from engine.asking.held_out import (
    choose_pool,
    find_overlaps,
    list_other_pools,
    list_taken_subjects,
    restrict_to_pool,
)
from engine.asking.plan import Plan, make_plan
from engine.asking.scenarios import choose_scenario_pool
from engine.definitions.scenario_packs import SCENARIOS_FOLDER, load_packs
from engine.domain.definition import OwnScenarios
from engine.domain.model import SYNTH_TYPES, Attached, Model, SynthType
from engine.domain.samples import Reason, Row, make_id, make_row
from engine.domain.unlabelled_texts import OwnTexts
from engine.screening.screener import Screener
from engine.store.index.search import MemoryTexts
from engine.text.near_duplicates import hash_form
from expectations.frames import make_sides_frame

PACKS = load_packs(SCENARIOS_FOLDER)
TEXT = (
    "The spare battery of the scanner lies in the second drawer, beside the charger and below the old printed manual."
)
# Every fourth word is another: no near duplicate, but it still tells the answer.
ECHO = "The spare lantern of the scanner lies under the second drawer, beside a charger and below her old printed list."
OTHER = "Ask the night porter for the key whenever the side door has been locked early, and bring it back by noon."
RUN_OF_8, RUN_OF_7 = (
    f"Nobody knew that {' '.join(TEXT.split()[3:end])} until somebody from another town came along and asked for it."
    for end in (11, 10)
)
SEED_ECHO = POSITIVE_SEEDS[0].replace("ten", "two").replace("cache", "store").replace("again", "anew")


def store(text: str, subject: str = "a subject") -> Attached:
    return Attached("clarity", text, 1.0, subject)


def make_split_model(
    attached: Sequence[Attached] = (), held_out: Sequence[Attached] = (), seeds: bool = False
) -> Model:
    return make_model(attached=tuple(attached), held_out=tuple(held_out), seeds=make_seeds() if seeds else ())


def plan_for(model: Model, synth_type: SynthType) -> Plan:
    return make_plan(model, synth_type, make_level(), SCENARIO_POOL, 0, "prompts-1")


def make_rows(*texts: str) -> list[Row]:
    return [make_row(make_exemplar(text), make_stamp(), None) for text in texts]


@pytest.mark.parametrize(
    ("text", "found"),
    [(TEXT, True), (TEXT.upper(), True), (ECHO, True), (RUN_OF_8, True), (RUN_OF_7, False), (OTHER, False)],
)
def test_text_from_across_the_line_is_found_and_one_that_only_shares_some_words_is_not(text: str, found: bool) -> None:
    overlap = find_overlaps([text], [MemoryTexts(["Nothing of the kind.", TEXT])]).get(text)

    assert found == (overlap is not None and overlap.text == TEXT and TEXT in overlap.detail)
    assert {} == find_overlaps([text], [MemoryTexts([])])


BOTH = make_split_model([store(TEXT)], [store(OTHER)], seeds=True)


@pytest.mark.parametrize(
    ("model", "synth_type", "texts", "reasons"),
    [
        (make_split_model(held_out=[store(TEXT)]), "from_traits", [ECHO, OTHER], ["held_out_overlap", None]),
        (make_split_model(held_out=[store(TEXT)]), "diversify", [RUN_OF_8, OTHER], ["held_out_overlap", None]),
        (make_split_model([store(TEXT)]), "enrich", [ECHO, OTHER], ["held_out_overlap", None]),
        (BOTH, "enrich", [POSITIVE_SEEDS[0], SEED_ECHO], ["seed_copy", "held_out_overlap"]),
        # Within a pool it is a duplicate, and an echo is none.
        (make_split_model(held_out=[store(TEXT)]), "enrich", [TEXT, ECHO], ["duplicate", None]),
        (make_split_model([store(TEXT)]), "from_traits", [ECHO], [None]),
    ],
)
def test_candidate_is_held_against_the_other_pool(
    model: Model, synth_type: SynthType, texts: list[str], reasons: list[Reason | None]
) -> None:
    made = [make_exemplar(text, index=index) for index, text in enumerate(texts)]
    screened = Screener(plan_for(model, synth_type), use_lengths=False).screen(made)

    assert reasons == [item.reason for item in screened]
    assert all(TEXT in item.detail for item in screened if item.reason == "held_out_overlap" and not model.seeds)


@pytest.mark.parametrize("synth_type", SYNTH_TYPES)
def test_pools_of_each_synth_type(synth_type: SynthType) -> None:
    told = [list(pool.read(np.arange(len(pool))).values()) for pool in list_other_pools(BOTH, synth_type)]
    own = restrict_to_pool(BOTH, synth_type)
    if synth_type == "enrich":
        assert "eval" == choose_pool(synth_type)
        assert [[seed.text for seed in make_seeds()], [TEXT]] == told
        assert ((), (store(OTHER),)) == (own.seeds, own.existing.attached)
    else:
        assert "train" == choose_pool(synth_type)
        assert [[OTHER]] == told
        assert own == BOTH


def test_subjects_that_are_taken_on_the_other_side_or_in_evaluation_itself_are_none() -> None:
    attached, held_out = [store(TEXT, SUBJECTS[0])], [store(OTHER, SUBJECTS[1].upper())]
    model = make_split_model(attached, held_out)

    assert {SUBJECTS[1]} == list_taken_subjects(model, "from_traits") == list_taken_subjects(model, "diversify")
    assert {*SUBJECTS[:2]} == list_taken_subjects(model, "enrich")
    assert set() == list_taken_subjects(make_split_model(attached), "from_traits")


def test_author_s_few_subjects_are_used_up_before_any_other() -> None:
    model = replace(make_split_model(), scenarios=OwnScenarios(subjects=SUBJECTS))
    left = choose_scenario_pool(model, PACKS, taken=set(SUBJECTS[:-1])).subjects

    assert SUBJECTS[-1:] == left
    assert len(set(choose_scenario_pool(model, PACKS, taken=set(SUBJECTS)).subjects) - set(SUBJECTS)) >= 16


def test_both_sides_are_in_the_frame_and_training_has_one_only_where_something_is_held_out() -> None:
    model = make_split_model([store(TEXT, "one")], [store(OTHER, "two")], seeds=True)
    frame = make_sides_frame(model, "enrich", make_rows("A new text.", ECHO))
    training = make_sides_frame(make_split_model(held_out=[store(TEXT)]), "diversify", make_rows(OTHER, ECHO))

    assert frame is not None
    assert ["train"] * 7 + ["eval"] * 3 == list(frame["side"])
    assert ["authored"] * 6 + ["attached"] * 2 + ["run"] * 2 == list(frame["origin"])
    assert ["", "one", "two", SUBJECTS[0], SUBJECTS[0]] == list(frame["subject"])[5:]
    assert training is not None
    assert ["eval", "train", "train"] == list(training["side"])
    for each in (frame, training):
        assert [False, True] == list(each["overlap"].notna())[-2:]
        assert TEXT in each["overlap"].iloc[-1]
    assert make_sides_frame(make_split_model([store(TEXT)], seeds=True), "from_traits", make_rows(OTHER)) is None
    assert make_sides_frame(make_split_model(), "enrich", make_rows(OTHER)) is not None


def test_held_out_text_that_is_near_to_an_authored_one_is_told_in_the_frame() -> None:
    model = make_split_model([store(TEXT)], [store(SEED_ECHO), store(OTHER)], seeds=True)
    frame = make_sides_frame(model, "from_traits", [])

    assert frame is not None
    held_out_id = make_id(model.handle, "clarity", SEED_ECHO)
    assert frame["overlap"].iloc[-2].startswith(f"id {held_out_id}, ")
    assert frame["overlap"].iloc[-2].endswith(POSITIVE_SEEDS[0])
    assert not frame["overlap"].notna().iloc[-1]


@pytest.mark.parametrize("synth_type", SYNTH_TYPES)
def test_no_text_is_one_of_the_authors_own_nor_near_to_one_that_is_drawn(synth_type: SynthType) -> None:
    keys = np.array(sorted(map(hash_form, (TEXT, OTHER, RUN_OF_8))), np.uint64).tobytes()
    model = make_model(texts=OwnTexts(drawn=(TEXT,), keys=keys))
    near, far = TEXT.replace("printed", "stapled"), OTHER.replace("noon", "ten")
    given = [make_exemplar(text, index=index) for index, text in enumerate((near, OTHER.upper(), far, RUN_OF_7))]
    screened = Screener(plan_for(model, synth_type), use_lengths=False).compare(given)

    # One that is like a text which was not drawn stands.
    assert ["held_out_overlap", "held_out_overlap", None, None] == [item.reason for item in screened]
    assert str(screened[0].detail).endswith(f" like: {TEXT}")
