"""Subjects are split for a topic that is a matter of its subject, and for no other trait."""

from dataclasses import replace

import numpy as np
from fakes.builders import SCENARIO_POOL, make_level, make_model, make_test_plan, make_trait

from engine.asking.fields import Field
from engine.asking.plan import Cell, plan_round
from engine.asking.scenarios import TopicSubjects, choose_scenario_pool
from engine.asking.topic_subjects import find_threshold, split_by_topic
from engine.definitions.loader import load_model
from engine.definitions.scenario_packs import SCENARIOS_FOLDER, load_packs
from engine.domain.definition import OwnScenarios
from engine.domain.model import Model, Seed
from engine.settings import PROJECT_ROOT

PACKS = load_packs(SCENARIOS_FOLDER)
HEALTH = make_trait("health", type="topic", name="Health", positive_label="Health", negative_label="Other matters")
MODEL = make_model(
    HEALTH,
    seeds=(
        Seed("health", "My doctor put me on tablets for migraine, and now I am dizzy every morning.", 1.0),
        Seed("health", "The rash on his arm itches at night; ask for a cream at the clinic.", 1.0),
        Seed("health", "The goalie let in three soft ones in the first period of the game.", 0.0),
        Seed("health", "The second hard disk does not start on the same controller.", 0.0),
    ),
    description="Which messages are about health, illness, medicine and the doctor.",
)


def split(model: Model) -> dict[str, tuple[set[str], set[str]]]:
    pool = split_by_topic(model, choose_scenario_pool(model, PACKS), PACKS)
    sides = {key: (found.inside, found.outside) for key, found in pool.topic_subjects.items()}
    return {key: (list_subjects(inside), list_subjects(outside)) for key, (inside, outside) in sides.items()}


def list_subjects(fields: tuple[Field, ...]) -> set[str]:
    return {subject for field in fields for subject in field.subjects}


def test_subjects_of_a_topic_and_others_are_told_apart() -> None:
    inside, outside = split(MODEL)["health"]

    assert {"back pain at a desk", "a sprained ankle"} <= inside
    assert set() == inside & outside
    assert min(len(inside), len(outside)) >= 8


def test_author_s_subjects_alone_stand_inside_a_topic_and_packs_add_those_outside() -> None:
    given = ("a fever at night", "tablets against pain", "a visit to the clinic", "a rash on the arm")
    inside, outside = split(replace(MODEL, scenarios=OwnScenarios(subjects=given)))["health"]

    assert set(given) == inside
    assert len(outside) >= 8


def test_topic_that_any_subject_may_come_to_and_other_traits_share_their_subjects() -> None:
    kinds = [make_trait("health", type=kind) for kind in ("spectrum", "claim", "outlier")]

    assert {} == split(load_model(str(PROJECT_ROOT / "data" / "models"), "u22a8.security-triage"))
    for trait in kinds:
        assert {} == split(make_model(trait, seeds=MODEL.seeds))


def test_threshold_lies_between_two_groups() -> None:
    assert 5.0 == find_threshold(np.array([8.0, 0.0, 1.0, 2.0, 9.0]))


INSIDE, OUTSIDE = {"a rash", "a cough", "a scan"}, {"a goal", "a disk", "a vote"}


def plan_topic(near_misses: bool) -> tuple[Cell, ...]:
    sides = [(Field("all", (tuple(sorted(side)),)),) for side in (INSIDE, OUTSIDE)]
    topic_subjects = {"health": TopicSubjects(*sides)}
    plan = make_test_plan(make_model(HEALTH), make_level(3), replace(SCENARIO_POOL, topic_subjects=topic_subjects))
    return plan_round(plan, 1, plan.quotas, near_misses=near_misses)


def test_poles_of_a_topic_have_subjects_of_their_own_and_all_else_in_common() -> None:
    cells = plan_topic(near_misses=False)

    for pole, subjects in (("positive", INSIDE), ("negative", OUTSIDE)):
        assert subjects == {cell.scenario.subject for cell in cells if cell.pole == pole}
    assert not any(cell.near_miss for cell in cells)
    assert len({cell.pair_id for cell in cells}) == len({(cell.pair_id, cell.scenario.form) for cell in cells})


def test_near_miss_of_a_strong_model_keeps_its_pairs_subject() -> None:
    cells = plan_topic(near_misses=True)
    for positive, negative in zip(cells[::2], cells[1::2], strict=True):
        assert positive.scenario.subject in INSIDE
        if negative.near_miss:
            assert positive.scenario == negative.scenario
        else:
            assert negative.scenario.subject in OUTSIDE
    assert 3 == sum(cell.near_miss for cell in cells)
