"""What needs a person is found, most pressing first, with what to type; and nothing where nothing is wrong."""

from dataclasses import replace
from typing import Any

import pytest
from fakes.conditions import HANDLE, make_condition, make_last, make_measure, make_measures, make_trait_condition

from engine.catalogue.condition import Counts, Drift, Fault, ModelCondition, TraitAngle
from engine.catalogue.findings import ENTANGLED_COSINE, MOST_SETS, list_findings
from engine.domain.model import POLES

AGAIN = f"exemplars synthesize {HANDLE}"
LACKING = f"{AGAIN} --only-lacking"
START = f"{AGAIN} --synth-type from_traits"
REVIEW = ["exemplars review run-9 --attach", "exemplars review run-9 --reject"]
DRIFT = Drift("run-2", dict.fromkeys(POLES, 0.96), dict.fromkeys(POLES, 0.1), graded=0.9, own=0.95)
DETACH = "exemplars detach run-2"
EMPTY = make_trait_condition(attached=Counts(), measure=None)
RUNS = tuple(f"run-{number}" for number in range(MOST_SETS + 1))
DETACH_FIRST = [f"exemplars detach {run}" for run in RUNS[:MOST_SETS]]


def with_trait(**fields: Any) -> ModelCondition:
    return make_condition(make_trait_condition(**fields))


def with_measure(**fields: Any) -> ModelCondition:
    return with_trait(measure=make_measure(**fields))


def with_counts(attached: tuple[int, int], authored: tuple[int, int]) -> ModelCondition:
    return with_trait(attached=Counts(*attached), authored=Counts(*authored))


def with_drift(told_apart: tuple[float, float], error: float = 0.1) -> ModelCondition:
    told, errors = dict(zip(POLES, told_apart, strict=True)), dict.fromkeys(POLES, error)
    return with_measure(drift=replace(DRIFT, told_apart=told, errors=errors))


def with_angle(cosine: float, error: float = 0.05) -> ModelCondition:
    traits = make_trait_condition("clarity"), make_trait_condition("safety")
    return make_condition(*traits, measures=make_measures(angles=(TraitAngle("clarity", "safety", cosine, error),)))


def with_last(status: str, **fields: Any) -> ModelCondition:
    return make_condition(last=make_last(status, **fields))


@pytest.mark.parametrize(
    ("condition", "kind", "said", "commands"),
    [
        (make_condition(faults=(Fault("1 mistake", ("exemplars plan",)),)), "broken", "1 mistake", ["exemplars plan"]),
        (make_condition(unwritten="No traits."), "unwritten", "No traits.", [f"exemplars plan {HANDLE}"]),
        (with_last("failed", said="3 lack"), "failed", "attached nothing: 3 lack", [f"{START} --effort low"]),
        (make_condition(proposed=("run-9",)), "waits", "report of run run-9", REVIEW),
        (with_measure(auc=0.69), "hardly apart", "Clarity: AUC 0.69. Say in", [AGAIN]),
        (with_angle(ENTANGLED_COSINE), "entangled", "Clarity and Safety: 37° between their axes", [AGAIN]),
        (with_drift((0.97, 0.5)), "drift", "its Much clarity texts are told from", [DETACH]),
        (make_condition(changed=RUNS), "changed", "6 attached sets were made for other traits", [*DETACH_FIRST, AGAIN]),
        (with_counts((8, 0), (2, 9)), "lacking", "Clarity: none is No clarity", [LACKING]),
        (with_counts((12, 4), (2, 2)), "unbalanced", "14 Much clarity and 6 No clarity", [LACKING]),
        # What is unbalanced by its authored samples is outweighed by more of both poles.
        (with_counts((8, 8), (20, 0)), "unbalanced", "28 Much clarity and 8 No clarity", [AGAIN]),
        (make_condition(EMPTY, last=None, sets={}), "empty", "No run of it", [AGAIN]),
        (make_condition(state="missing", attached_runs=("run-2",)), "orphaned", "16 samples in the store", [DETACH]),
    ],
)
def test_finding_says_what_to_type(condition: ModelCondition, kind: str, said: str, commands: list[str]) -> None:
    [found] = list_findings(condition)

    assert (kind, commands) == (found.kind, list(found.commands))
    assert said in found.said
    assert (kind in ("unwritten", "empty")) == found.is_calm


@pytest.mark.parametrize(
    "condition",
    [
        *(with_last(status) for status in ("attached", "turned down", "cancelled")),
        with_measure(auc=0.7),
        # Few samples beside seeds that hardly differ.
        with_trait(attached=Counts(7, 8), authored=Counts(20, 20), measure=make_measure(auc=0.3)),
        with_angle(ENTANGLED_COSINE - 0.01, 0.0),
        with_angle(1.0, 0.31),
        with_drift((0.84, 0.84), 0.01),
        with_counts((12, 8), (0, 0)),
        make_condition(EMPTY, state="missing"),
    ],
)
def test_nothing_is_found_where_nothing_is_wrong(condition: ModelCondition) -> None:
    assert [] == list_findings(condition)


def test_most_pressing_comes_first_and_a_trained_model_is_asked_for_nothing_that_it_refuses() -> None:
    found = list_findings(
        replace(with_measure(auc=0.5, drift=DRIFT), changed=("run-1",), proposed=("run-2",), state="ready")
    )

    assert ["waits", "drift", "hardly apart", "changed"] == [finding.kind for finding in found]
    assert ["waits"] == [finding.kind for finding in found if finding.commands]
