"""Describe a planned run as plain values, before any call is made or any file written: the dry run's JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.asking.plan import Plan, count_scenarios
from engine.asking.prompts import prompts_version
from engine.asking.scenarios import list_proposable
from engine.domain.definition import Length, Pole
from engine.domain.model import POLES, Effort, Skipped, SynthType
from engine.errors import UnpricedError
from engine.estimate.call_kinds import CallKind, list_calls
from engine.estimate.estimate import Estimate, estimate_calls
from engine.estimate.notes import list_notes
from engine.estimate.speeds import read_speeds
from engine.llm.endpoints import check_prices, describe_endpoint, describe_judge, limit_cost
from engine.settings import Settings


@dataclass(frozen=True, slots=True)
class Quota:
    """The quota of one trait at one pole: ``wanted`` exemplars, and ``cells`` of round 1."""

    trait: str
    type: str
    pole: Pole
    label: str
    wanted: int
    cells: int


@dataclass(frozen=True, slots=True)
class PlannedPrompt:
    """A prompt as it would be sent.

    ``turns`` are pairs of a user's message and its answer, sent before ``user``. ``system`` is None if the model
    continues a document. ``schema`` is the JSON schema of the reply, or None. ``questions`` are a decision model's
    questions on ``user``.
    """

    kind: str
    model: str
    title: str
    note: str
    user: str
    system: str | None
    turns: tuple[tuple[str, str], ...]
    max_tokens: int
    temperature: float
    schema: Mapping[str, object] | None
    questions: tuple[Mapping[str, object], ...] = ()


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """A run that has not begun: its inputs, quotas, prompts, estimate and notes.

    Args:
        fields: the model's fields, each with an equal share of the subjects; ``not_covered`` are the fields without
            subjects in any scenario pack.
        proposed_by: the model that a run would first ask for subjects; None if it would not. The dry run does not ask:
            its subjects come from the lists alone, and the run will have another ``plan_id``.
        scenario_lists: the lists to draw scenarios from: ``forms``, ``audiences``, ``lengths`` and ``subjects``; the
            notes explain their choice.
        refused: why the run would be refused now, if its cost cannot be limited; None if it would start.
    """

    handle: str
    synth_type: SynthType
    effort: Effort
    synth_model: str
    plan_id: str
    prompts_version: str
    seed: int
    top_up_rounds: int
    own_suites: tuple[str, ...]
    quotas: tuple[Quota, ...]
    fields: tuple[str, ...]
    not_covered: tuple[str, ...]
    proposed_by: str | None
    scenario_lists: Mapping[str, tuple[str, ...]]
    prompts: tuple[PlannedPrompt, ...]
    estimate: Estimate
    refused: str | None
    skipped: tuple[Skipped, ...]
    notes: tuple[str, ...]


def describe_run(settings: Settings, plan: Plan, more_notes: Sequence[str] = (), prompts: int = 2) -> PlannedRun:
    """Describe the run of a plan that was made without proposed subjects.

    Args:
        more_notes: further notes.
        prompts: the largest number of prompts of each kind to include.
    """
    level, refused = plan.level, None
    try:
        check_prices(settings, level)
    except UnpricedError as error:
        refused = str(error)
    endpoint, judge = describe_endpoint(settings, level), describe_judge(settings, level)
    kinds = list_calls(plan, endpoint, judge) if any(plan.quotas.values()) else ()
    pool, cells = plan.scenario_pool, count_scenarios(level, 1, plan.max_quota)
    return PlannedRun(
        handle=plan.model.handle,
        synth_type=plan.synth_type,
        effort=level.effort,
        synth_model=endpoint.name,
        plan_id=plan.plan_id,
        prompts_version=prompts_version(bool(plan.model.texts.files)),
        seed=plan.seed,
        top_up_rounds=level.top_up_rounds,
        own_suites=tuple(suite.name for suite in plan.model.own_suites),
        quotas=tuple(
            Quota(trait.key, trait.type, pole, trait.label(pole), plan.quotas[trait.key, pole], cells)
            for trait in plan.model.traits
            for pole in POLES
        ),
        fields=tuple(field.name for field in pool.fields),
        not_covered=pool.uncovered,
        proposed_by=None if endpoint.style == "plain" or not list_proposable(plan.model) else endpoint.name,
        scenario_lists={
            "forms": pool.forms,
            "audiences": pool.audiences,
            "lengths": tuple(map(_describe_length, pool.lengths)),
            "subjects": pool.subjects,
        },
        prompts=tuple(prompt for kind in kinds for prompt in _list_prompts(kind, prompts)),
        estimate=estimate_calls(kinds, limit_cost(settings, level), speeds=read_speeds(settings)),
        refused=refused,
        skipped=plan.model.skipped,
        notes=(*list_notes(plan, endpoint), *more_notes),
    )


def _describe_length(length: Length) -> str:
    return length.words if length.name == length.words else f"{length.name} ({length.words})"


def _list_prompts(kind: CallKind, shown: int) -> list[PlannedPrompt]:
    return [
        PlannedPrompt(
            kind=kind.name,
            model=kind.endpoint.name,
            title=example.title,
            note=example.note,
            user=example.request.prompt.user,
            system=example.request.prompt.system,
            turns=example.request.prompt.turns,
            max_tokens=example.request.max_tokens,
            temperature=example.request.temperature,
            schema=example.request.schema,
            questions=example.request.questions,
        )
        for example in kind.examples[:shown]
    ]
