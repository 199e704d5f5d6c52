"""Findings come with commands, the most urgent first; a sound model has none."""

from dataclasses import replace
from typing import Any

import pytest
from fakes.conditions import HANDLE, make_condition, make_counts, make_run, make_trait_condition

from engine.catalogue.condition import ModelCondition, ModelFinding

AGAIN = f"exemplars synthesize {HANDLE}"
LACKING = f"{AGAIN} --only-lacking"
START = f"{AGAIN} --synth-type from_traits"
REVIEW = ("exemplars review run-9 --attach", "exemplars review run-9 --reject")
EMPTY = make_trait_condition(attached=make_counts(), auc=None)
BROKEN = ModelFinding("broken", "1 mistake", ("exemplars plan",))


def with_trait(**fields: Any) -> ModelCondition:
    return make_condition(make_trait_condition(**fields))


def with_counts(attached: tuple[int, int], authored: tuple[int, int]) -> ModelCondition:
    return with_trait(attached=make_counts(*attached), authored=make_counts(*authored))


@pytest.mark.parametrize(
    ("condition", "kind", "message", "commands"),
    [
        (make_condition(faults=(BROKEN,)), "broken", "1 mistake", ("exemplars plan",)),
        (
            make_condition(runs=(make_run(status="rejected", message="3 lack"),)),
            "failed",
            ": 3 lack",
            (f"{START} --effort low",),
        ),
        (make_condition(proposed=("run-9",)), "waits", "report of run run-9", REVIEW),
        (
            with_trait(inseparable="as chance."),
            "hardly apart",
            "Clarity, in the last set: as chance.",
            (AGAIN,),
        ),
        (
            make_condition(alike=(("A", "B", -0.9),)),
            "same axis",
            "A and B: their axes have a cosine of -0.9",
            (AGAIN,),
        ),
        (with_counts((8, 0), (2, 9)), "lacking", "Clarity: no samples for No clarity", (LACKING,)),
        (with_counts((12, 4), (2, 2)), "unbalanced", "14 Much clarity and 6 No clarity", (LACKING,)),
        # If only the authored samples are unbalanced, more samples of both poles outweigh them.
        (with_counts((8, 8), (20, 0)), "unbalanced", "28 Much clarity and 8 No clarity", (AGAIN,)),
        (
            make_condition(older_samples=8),
            "older",
            "Generated for an older definition: 8 samples",
            (f"{AGAIN} --refresh",),
        ),
        (make_condition(EMPTY, runs=(), sets=0), "empty", "No run has attached", (AGAIN,)),
    ],
)
def test_finding_says_what_to_type(
    condition: ModelCondition, kind: str, message: str, commands: tuple[str, ...]
) -> None:
    [finding] = condition.findings

    assert (kind, commands) == (finding.kind, finding.commands)
    assert message in finding.message


@pytest.mark.parametrize(
    "condition",
    [
        *(make_condition(runs=(make_run(status=status),)) for status in ("attached", "turned down", "cancelled")),
        with_trait(auc=0.5),
        with_counts((12, 8), (0, 0)),
        make_condition(older_samples=8, state="ready"),
    ],
)
def test_nothing_is_found_where_nothing_is_wrong(condition: ModelCondition) -> None:
    assert [] == condition.findings


def test_most_pressing_comes_first_and_a_trained_model_is_asked_for_nothing_that_it_refuses() -> None:
    findings = replace(
        with_trait(inseparable="as chance."), faults=(BROKEN,), proposed=("run-2",), state="ready"
    ).findings

    assert ["broken", "waits", "hardly apart"] == [finding.kind for finding in findings]
    assert ["broken", "waits"] == [finding.kind for finding in findings if finding.commands]
