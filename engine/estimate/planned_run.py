"""Defines what a run would do as plain values, for programs: the fields of the dry run's JSON, by the same names."""

from collections.abc import Mapping
from dataclasses import dataclass

from engine.domain.model import Effort, Pole, Skipped, SynthType
from engine.estimate.call_kinds import Spread
from engine.estimate.estimate import Amount
from engine.llm.client.prices import Price


@dataclass(frozen=True, slots=True)
class Quota:
    """The quota of one trait at one pole: how many exemplars are wanted, and how many cells round 1 has."""

    trait: str
    type: str
    pole: Pole
    label: str
    wanted: int
    cells: int


@dataclass(frozen=True, slots=True)
class SubjectSource:
    """Where the subjects that are shown come from.

    ``fields`` are what the model names, each with an equal share; ``not_covered`` those that no pack has subjects of.
    ``proposed_by`` is the model that a run would first ask for some.
    """

    fields: tuple[str, ...]
    not_covered: tuple[str, ...]
    shown_from: str
    proposed_by: str | None


@dataclass(frozen=True, slots=True)
class ScenarioList:
    """The values that scenarios are drawn from, and why these; ``why`` is None where there is nothing to explain."""

    values: tuple[str, ...]
    why: str | None


@dataclass(frozen=True, slots=True)
class PlannedScenario:
    """One scenario of round 1 of a trait."""

    trait: str
    subject: str
    audience: str
    form: str
    length: str


@dataclass(frozen=True, slots=True)
class PlannedPrompt:
    """A prompt as it would be sent.

    ``turns`` are pairs of a user's message and the answer to it, which stand before ``user``. ``system`` is None where
    the model is to continue a document. ``schema`` is the JSON schema of the reply, None where there is none.
    """

    kind: str
    title: str
    note: str | None
    user: str
    system: str | None
    turns: tuple[tuple[str, str], ...]
    max_tokens: int
    temperature: float
    schema: Mapping[str, object] | None


@dataclass(frozen=True, slots=True)
class PlannedCalls:
    """The calls of one kind to one model, with their tokens and cost: likely, and at most."""

    kind: str
    model: str
    likely: Amount
    most: Amount


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """What a run would do.

    Args:
        scenario_lists: by ``forms``, ``audiences``, ``lengths`` and ``subjects``.
        price: the synth model's; None where it is not known.
        unpriced: the models without a known price, whose cost is not in ``total``.
        dearest_call_usd: the most that one call may cost; None where no price is known.
        max_cost_usd: the run's limit on cost; None for none.
        refused: why the run would be refused now; None where it would start.
    """

    handle: str
    synth_type: SynthType
    effort: Effort
    synth_model: str
    plan_id: str
    prompts_version: str
    seed: int
    top_up_rounds: int
    quotas: tuple[Quota, ...]
    subjects: SubjectSource
    scenario_lists: Mapping[str, ScenarioList]
    scenarios: tuple[PlannedScenario, ...]
    prompts: tuple[PlannedPrompt, ...]
    calls: tuple[PlannedCalls, ...]
    total: Spread[Amount]
    price: Price | None
    unpriced: tuple[str, ...]
    dearest_call_usd: float | None
    max_cost_usd: float | None
    refused: str | None
    skipped: tuple[Skipped, ...]
    notes: tuple[str, ...]
