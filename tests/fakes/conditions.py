"""Conditions of models, for the tests of what is found and shown, with defaults for what a test does not speak of."""

from datetime import UTC, datetime

from engine.catalogue.condition import (
    Counts,
    Drift,
    LastRun,
    Measures,
    ModelCondition,
    TraitAngle,
    TraitCondition,
    TraitMeasure,
)
from engine.catalogue.findings import list_findings
from engine.catalogue.survey import Survey, SurveyedModel

HANDLE = "u22a8.test"
NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


def make_measure(
    trait: str = "clarity",
    auc: float | None = 0.95,
    overlap: bool | None = False,
    texts: int = 20,
    drift: Drift | None = None,
) -> TraitMeasure:
    return TraitMeasure(trait, auc, overlap, {"positive": texts, "negative": texts}, drift)


def make_trait_condition(key: str = "clarity", **fields: object) -> TraitCondition:
    given: dict[str, object] = {
        "name": key.title(),
        "labels": {"positive": f"Much {key}", "negative": f"No {key}"},
        "authored": Counts(2, 2),
        "attached": Counts(8, 8),
        "held_out": Counts(),
        "measure": make_measure(key),
    }
    return TraitCondition(key=key, **(given | fields))  # type: ignore[arg-type]


def make_condition(*traits: TraitCondition, handle: str = HANDLE, **fields: object) -> ModelCondition:
    """A model of one trait with one attached set, of which nothing needs a person."""
    own = traits or (make_trait_condition(),)
    given: dict[str, object] = {
        "last": make_last(),
        "sets": {"attached": 1},
        "attached_runs": ("run-1",),
        "measures": make_measures(*(trait.measure for trait in own if trait.measure)),
    }
    return ModelCondition(handle=handle, traits=own, **(given | fields))  # type: ignore[arg-type]


def make_measures(*measures: TraitMeasure, angles: tuple[TraitAngle, ...] = ()) -> Measures:
    return Measures("en", True, measures, angles)


def make_last(status: str = "attached", run_id: str = "run-1", **fields: object) -> LastRun:
    given: dict[str, object] = {"at": NOON, "synth_type": "from_traits", "effort": "low"}
    return LastRun(run_id=run_id, status=status, **(given | fields))  # type: ignore[arg-type]


def survey(*conditions: ModelCondition, notes: tuple[str, ...] = ()) -> Survey:
    models = tuple(SurveyedModel(condition, tuple(list_findings(condition))) for condition in conditions)
    return Survey(models, NOON, notes)
