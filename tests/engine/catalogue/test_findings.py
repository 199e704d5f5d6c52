"""What needs a person is found, most pressing first, with what to type; and nothing where nothing is wrong."""

import json
from dataclasses import replace
from typing import Any

import pytest
from fakes.conditions import HANDLE, make_condition, make_last, make_measure, make_measures, make_trait_condition
from fakes.workspace import ROOT

from engine.catalogue.condition import Counts, Drift, Fault, ModelCondition, SharedTexts, TraitAngle, TraitCondition
from engine.catalogue.findings import (
    ENTANGLED_COSINE,
    KINDS,
    MIN_POLE_SHARE,
    MOST_SETS,
    Finding,
    list_findings,
)
from engine.domain.model import POLES

AGAIN = f"exemplars synthesize {HANDLE}"
TWO = (make_trait_condition("clarity"), make_trait_condition("safety"))
BOTH = {"positive": 0.97, "negative": 0.95}
DRIFT = Drift("run-2", BOTH, {"positive": 0.1, "negative": 0.1}, graded=0.9, own=0.95)  # type: ignore[arg-type]


def find(condition: ModelCondition) -> Finding:
    [finding] = list_findings(condition)
    return finding


def with_measure(**fields: Any) -> TraitCondition:
    return make_trait_condition(measure=make_measure(**fields))


def with_angle(cosine: float, error: float = 0.05) -> ModelCondition:
    angle = TraitAngle("clarity", "safety", cosine, error)
    return make_condition(*TWO, measures=make_measures(angles=(angle,)))


def test_nothing_is_found_of_a_model_that_is_well() -> None:
    assert [] == list_findings(make_condition())


def test_what_cannot_be_read_is_broken() -> None:
    found = find(make_condition(faults=(Fault("model.yaml: 1 mistake", ("exemplars plan u22a8.test",)),)))

    assert Finding("broken", "model.yaml: 1 mistake", ("exemplars plan u22a8.test",)) == found


@pytest.mark.parametrize("status", ["failed", "rejected"])
def test_run_that_attached_nothing_is_named_with_its_reason_and_started_again(status: str) -> None:
    found = find(make_condition(last=make_last(status, said="3 exemplars\n are lacking")))

    assert "failed" == found.kind
    assert "Run run-1 attached nothing: 3 exemplars are lacking" == found.said
    assert (f"{AGAIN} --synth-type from_traits --effort low",) == found.commands


@pytest.mark.parametrize("status", ["attached", "turned down", "detached", "running", "cancelled", "succeeded"])
def test_run_that_did_not_fail_needs_nobody(status: str) -> None:
    assert [] == list_findings(make_condition(last=make_last(status)))


def test_proposed_set_waits_for_both_words() -> None:
    found = find(make_condition(proposed=("run-9",)))

    assert "waits" == found.kind
    assert ("exemplars review run-9 --attach", "exemplars review run-9 --reject") == found.commands


@pytest.mark.parametrize(
    ("fields", "is_found"),
    [
        ({"auc": 0.69}, True),
        ({"auc": 0.71}, False),
        ({"auc": 0.9, "sureness": "overlapping"}, True),
        ({"auc": 0.9, "sureness": "unsure"}, False),
        ({"auc": None, "sureness": None, "texts": 3}, False),
    ],
)
def test_poles_that_are_hardly_told_apart_are_found_where_there_are_texts_to_tell(
    fields: dict[str, Any], is_found: bool
) -> None:
    found = list_findings(make_condition(with_measure(**fields)))

    assert ["hardly apart"] * is_found == [finding.kind for finding in found]


def test_of_a_claim_no_better_description_is_asked_for() -> None:
    [found] = list_findings(make_condition(make_trait_condition(type="claim", measure=make_measure(auc=0.3))))

    assert "read ten texts of each pole" in found.said


def test_few_samples_beside_seeds_that_hardly_differ_are_not_judged() -> None:
    few = make_trait_condition(attached=Counts(7, 8), authored=Counts(20, 20), measure=make_measure(auc=0.3))

    assert [] == list_findings(make_condition(few))


@pytest.mark.parametrize("cosine", [ENTANGLED_COSINE, 1.0])
def test_traits_with_one_axis_are_entangled(cosine: float) -> None:
    found = find(with_angle(cosine))

    assert "entangled" == found.kind
    assert found.said.startswith("Clarity and Safety: ")
    assert (AGAIN,) == found.commands


def test_traits_that_say_the_opposite_are_entangled_too() -> None:
    assert "0° between their axes (cosine -1.00 ± 0.05), one turned round" in find(with_angle(-1.0)).said


@pytest.mark.parametrize(("cosine", "error"), [(ENTANGLED_COSINE - 0.01, 0.0), (1.0, 0.31)])
def test_traits_with_axes_of_their_own_or_weak_ones_are_not(cosine: float, error: float) -> None:
    assert [] == list_findings(with_angle(cosine, error))


def test_set_that_is_unlike_the_earlier_ones_has_drifted() -> None:
    found = find(make_condition(with_measure(drift=DRIFT)))

    assert "drift" == found.kind
    assert (
        "Clarity: the last set is that of run run-2; its texts are told from earlier ones in 96% of pairs" in found.said
    )
    assert ("exemplars detach run-2",) == found.commands


def test_set_that_the_earlier_ones_do_not_grade_has_drifted() -> None:
    drift = replace(DRIFT, told_apart=dict.fromkeys(POLES, 0.5), graded=0.6)

    assert (
        "hardly tells its poles apart (AUC 0.60, theirs 0.95)" in find(make_condition(with_measure(drift=drift))).said
    )


@pytest.mark.parametrize(
    ("told_apart", "error", "drifted"),
    [
        ((0.97, 0.5), 0.1, "its Much clarity texts are told from earlier ones in 97% of pairs"),
        ((0.93, 0.93), 0.2, "its texts are told from earlier ones in 93% of pairs"),
        ((0.97, 0.5), 0.2, ""),
        ((0.84, 0.84), 0.01, ""),
    ],
)
def test_drift_is_that_of_one_pole_or_both_and_more_than_chance(
    told_apart: tuple[float, float], error: float, drifted: str
) -> None:
    drift = replace(DRIFT, told_apart=dict(zip(POLES, told_apart, strict=True)), errors=dict.fromkeys(POLES, error))
    said = [finding.said for finding in list_findings(make_condition(with_measure(drift=drift)))]

    assert bool(drifted) == bool(said)
    assert drifted in "".join(said)


@pytest.mark.parametrize("fields", [{}, {"graded": 0.6, "own": 0.7}, {"graded": None, "own": None}])
def test_set_that_is_like_the_earlier_ones_has_not(fields: dict[str, Any]) -> None:
    drift = replace(DRIFT, told_apart=dict.fromkeys(POLES, 0.6), **fields)

    assert [] == list_findings(make_condition(with_measure(drift=drift)))


def test_sets_for_another_definition_are_taken_off_and_made_anew() -> None:
    runs = tuple(f"run-{number}" for number in range(MOST_SETS + 1))
    found = find(make_condition(changed=runs))

    assert "changed" == found.kind
    assert (*(f"exemplars detach {run}" for run in runs[:MOST_SETS]), AGAIN) == found.commands


def test_trained_model_is_told_of_and_asked_for_nothing_that_it_refuses() -> None:
    condition = make_condition(with_measure(auc=0.5, drift=DRIFT), changed=("run-1",), state="ready")

    assert [()] * 3 == [finding.commands for finding in list_findings(condition)]


def test_pole_without_samples_is_lacking() -> None:
    found = find(make_condition(make_trait_condition(attached=Counts(8, 0), authored=Counts(2, 9))))

    assert "lacking" == found.kind
    assert "Clarity: none is No clarity" == found.said
    assert (f"{AGAIN} --only-lacking",) == found.commands


def test_pole_with_too_small_a_share_is_unbalanced() -> None:
    found = find(make_condition(make_trait_condition(attached=Counts(12, 4), authored=Counts(2, 2))))

    assert "unbalanced" == found.kind
    assert "Clarity: 14 Much clarity and 6 No clarity" == found.said
    assert (f"{AGAIN} --only-lacking",) == found.commands


def test_authored_samples_that_are_unbalanced_are_outweighed() -> None:
    found = find(make_condition(make_trait_condition(attached=Counts(8, 8), authored=Counts(20, 0))))

    assert (AGAIN,) == found.commands


def test_share_is_that_of_the_gate() -> None:
    suite = json.loads((ROOT / "expectations/whole.json").read_text())
    [share] = [item["kwargs"]["min_share"] for item in suite["expectations"] if "min_share" in item["kwargs"]]

    assert share == MIN_POLE_SHARE


def test_model_without_samples_is_calm() -> None:
    none = make_trait_condition(attached=Counts(), measure=None)
    found = find(make_condition(none, last=None, sets={}, attached_runs=()))

    assert ("empty", True, (AGAIN,)) == (found.kind, found.is_calm, found.commands)


def test_samples_of_a_model_that_is_gone_are_orphaned() -> None:
    found = find(make_condition(state="missing", changed=("run-1",)))

    assert ("orphaned", ("exemplars detach run-1",)) == (found.kind, found.commands)
    assert [] == list_findings(make_condition(make_trait_condition(attached=Counts()), state="missing"))


@pytest.mark.parametrize(
    ("others", "said"),
    [
        ({"u22a8.a": 3}, "3 texts are near duplicates of u22a8.a’s"),
        ({"u22a8.b": 3, "u22a8.a": 1}, "4 texts are near duplicates of those of 2 models, mostly u22a8.b’s"),
    ],
)
def test_texts_that_other_models_have_are_named_by_their_ids(others: dict[str, int], said: str) -> None:
    shared = SharedTexts(HANDLE, others, (11, 12), "The text.", "u22a8.a", "A text.", 0.9)
    found = find(make_condition(shared=shared))

    assert f"{said}, such as “The text.” (0.90 of u22a8.a’s). The first 2 of them are named here" == found.said
    assert (f"exemplars remove {HANDLE} 11 12",) == found.commands


def test_most_pressing_comes_first() -> None:
    condition = make_condition(
        with_measure(auc=0.5, drift=DRIFT),
        faults=(Fault("broken", ()),),
        changed=("run-1",),
        proposed=("run-2",),
        last=make_last("failed"),
    )
    kinds = [finding.kind for finding in list_findings(condition)]

    assert ["broken", "failed", "waits", "drift", "hardly apart", "changed"] == kinds
    assert sorted(kinds, key=KINDS.index) == kinds
