"""What needs a person is found, most pressing first, with what to type; and nothing where nothing is wrong."""

from dataclasses import replace
from typing import Any

import pytest
from fakes.conditions import HANDLE, make_condition, make_counts, make_run, make_trait_condition

from engine.catalogue.condition import Finding, ModelCondition

AGAIN = f"exemplars synthesize {HANDLE}"
LACKING = f"{AGAIN} --only-lacking"
START = f"{AGAIN} --synth-type from_traits"
REVIEW = ("exemplars review run-9 --attach", "exemplars review run-9 --reject")
EMPTY = make_trait_condition(attached=make_counts(), auc=None)
BROKEN = Finding("broken", "1 mistake", ("exemplars plan",))


def with_trait(**fields: Any) -> ModelCondition:
    return make_condition(make_trait_condition(**fields))


def with_counts(attached: tuple[int, int], authored: tuple[int, int]) -> ModelCondition:
    return with_trait(attached=make_counts(*attached), authored=make_counts(*authored))


@pytest.mark.parametrize(
    ("condition", "kind", "said", "commands"),
    [
        (make_condition(faults=(BROKEN,)), "broken", "1 mistake", ("exemplars plan",)),
        (
            make_condition(runs=(make_run(status="rejected", said="3 lack"),)),
            "failed",
            ": 3 lack",
            (f"{START} --effort low",),
        ),
        (make_condition(proposed=("run-9",)), "waits", "report of run run-9", REVIEW),
        (
            with_trait(inseparable="clarity: as chance."),
            "hardly apart",
            "Clarity, in the last set: as chance.",
            (AGAIN,),
        ),
        (
            make_condition(alike=(("A", "B", -0.9),)),
            "one thing",
            "A and B: their axes have a cosine of -0.9",
            (AGAIN,),
        ),
        (with_counts((8, 0), (2, 9)), "lacking", "Clarity: none is No clarity", (LACKING,)),
        (with_counts((12, 4), (2, 2)), "unbalanced", "14 Much clarity and 6 No clarity", (LACKING,)),
        # What is unbalanced by its authored samples is outweighed by more of both poles.
        (with_counts((8, 8), (20, 0)), "unbalanced", "28 Much clarity and 8 No clarity", (AGAIN,)),
        (make_condition(older_samples=8), "older", "8 samples of it were made for an older", (f"{AGAIN} --refresh",)),
        (make_condition(EMPTY, runs=(), sets=0), "empty", "No run of it", (AGAIN,)),
    ],
)
def test_finding_says_what_to_type(condition: ModelCondition, kind: str, said: str, commands: tuple[str, ...]) -> None:
    [found] = condition.findings

    assert (kind, commands) == (found.kind, found.commands)
    assert said in found.said


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
    found = replace(
        with_trait(inseparable="clarity: as chance."), faults=(BROKEN,), proposed=("run-2",), state="ready"
    ).findings

    assert ["broken", "waits", "hardly apart"] == [finding.kind for finding in found]
    assert ["broken", "waits"] == [finding.kind for finding in found if finding.commands]
