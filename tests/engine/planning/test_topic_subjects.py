"""Subjects are split for a topic that is a matter of its subject, and for no other trait."""

from dataclasses import replace

import numpy as np
import pytest
from fakes.builders import SCENARIO_POOL, make_level, make_model, make_test_plan, make_trait

from engine.definitions.loader import load_model
from engine.definitions.scenario_packs import SCENARIOS_FOLDER, load_packs
from engine.domain.model import POLES, Model, OwnScenarios, Seed
from engine.planning.plan import Plan, RoundHistory, plan_round
from engine.planning.scenarios import ScenarioPool, TopicSubjects, choose_scenario_pool
from engine.planning.topic_subjects import find_threshold, split_by_topic
from engine.settings import PROJECT_ROOT
from engine.text.embedding import SentenceEncoder

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


def split(model: Model) -> ScenarioPool:
    return split_by_topic(model, choose_scenario_pool(model, PACKS), PACKS, SentenceEncoder())


def test_author_s_subjects_alone_stand_inside_a_topic_and_packs_add_those_outside() -> None:
    given = ("a fever at night", "tablets against pain", "a visit to the clinic", "a rash on the arm")
    found = split(replace(MODEL, scenarios=OwnScenarios(subjects=given))).topic_subjects["health"]

    assert set(given) == {subject for tier in found.inside for subject in tier}
    assert len({subject for tier in found.outside for subject in tier}) >= 8


def test_subjects_of_a_topic_and_others_are_told_apart() -> None:
    topic_subjects = split(MODEL).topic_subjects["health"]
    inside, outside = (
        {subject for tier in side for subject in tier} for side in (topic_subjects.inside, topic_subjects.outside)
    )

    assert {"back pain at a desk", "a sprained ankle"} <= inside
    assert set() == inside & outside
    assert min(len(inside), len(outside)) >= 8


def test_topic_that_any_subject_may_come_to_goes_on_sharing_them() -> None:
    model = load_model(str(PROJECT_ROOT / "data" / "models"), "u22a8.security-triage")

    assert {} == split(model).topic_subjects


@pytest.mark.parametrize("kind", ["spectrum", "claim", "outlier"])
def test_other_traits_share_their_subjects(kind: str) -> None:
    assert {} == split(make_model(make_trait("health", type=kind), seeds=MODEL.seeds)).topic_subjects


def test_threshold_lies_between_two_groups() -> None:
    assert 2.0 < find_threshold(np.array([0.0, 1.0, 2.0, 8.0, 9.0])) < 8.0


def plan_topic() -> Plan:
    topic_subjects = {"health": TopicSubjects((("a rash", "a cough", "a scan"),), (("a goal", "a disk", "a vote"),))}
    return make_test_plan(make_model(HEALTH), make_level(3), replace(SCENARIO_POOL, topic_subjects=topic_subjects))


def test_poles_of_a_topic_have_subjects_of_their_own_and_all_else_in_common() -> None:
    cells = plan_round(plan_topic(), 1, plan_topic().full_shortfall(), RoundHistory({}), draws=2)
    pairs: dict[str, dict[str, set[str]]] = {}
    for cell in cells:
        pairs.setdefault(cell.pair_id, {pole: set() for pole in POLES})[cell.pole].add(cell.scenario.subject)

    assert {"a rash", "a cough", "a scan"} == set().union(*(pair["positive"] for pair in pairs.values()))
    assert {"a goal", "a disk", "a vote"} == set().union(*(pair["negative"] for pair in pairs.values()))
    assert not any(cell.near_miss for cell in cells)
    assert len(pairs) == len({(cell.pair_id, cell.scenario.audience, cell.scenario.form) for cell in cells})


def test_near_miss_of_a_strong_model_keeps_its_pairs_subject() -> None:
    cells = plan_round(plan_topic(), 1, plan_topic().full_shortfall(), RoundHistory({}), draws=1)
    negatives = [cell for cell in cells if cell.pole == "negative"]

    assert {"a rash", "a cough", "a scan"} >= {cell.scenario.subject for cell in negatives if cell.near_miss}
    assert {"a goal", "a disk", "a vote"} >= {cell.scenario.subject for cell in negatives if not cell.near_miss}
    assert any(cell.near_miss for cell in negatives)
