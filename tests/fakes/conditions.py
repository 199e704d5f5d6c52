"""Conditions of models, for the tests of what is found and shown, with defaults for what a test does not speak of."""

from datetime import UTC, datetime

from engine.catalogue.condition import Counts, ModelCondition, PastRun, TraitCondition

HANDLE = "u22a8.test"
NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


def make_counts(positive: int = 0, negative: int = 0) -> Counts:
    return {"positive": positive, "negative": negative}


def make_trait_condition(key: str = "clarity", **fields: object) -> TraitCondition:
    given: dict[str, object] = {
        "key": key,
        "name": key.title(),
        "labels": {"positive": f"Much {key}", "negative": f"No {key}"},
        "authored": make_counts(2, 2),
        "attached": make_counts(8, 8),
        "auc": 0.95,
    }
    return TraitCondition(**(given | fields))  # type: ignore[arg-type]


def make_condition(*traits: TraitCondition, handle: str = HANDLE, **fields: object) -> ModelCondition:
    """A model of one trait with one attached set, of which nothing needs a person."""
    given: dict[str, object] = {"runs": (make_run(),), "sets": 1}
    return ModelCondition(handle=handle, traits=traits or (make_trait_condition(),), **(given | fields))  # type: ignore[arg-type]


def make_run(
    written_at: datetime = NOON,
    attached_at: datetime | None = None,
    samples: int = 0,
    cost_usd: float | None = None,
    status: str = "attached",
    message: str = "",
) -> PastRun:
    due = NOON.isoformat()
    return PastRun("run-1", status, due, "from_traits", "low", message, written_at, attached_at, samples, cost_usd)
