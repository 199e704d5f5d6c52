"""Defines what a run would do as plain values, before any call is made or any file written: the dry run's JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.asking.plan import Plan, count_scenarios
from engine.asking.prompts import prompts_version
from engine.asking.scenarios import list_proposable
from engine.domain.model import POLES, Effort, Length, Pole, Skipped, SynthType
from engine.errors import UnpricedError
from engine.estimate.call_kinds import CallKind, list_calls
from engine.estimate.estimate import Estimate, estimate_calls
from engine.estimate.notes import list_notes
from engine.estimate.speeds import read_speeds
from engine.llm.endpoints import check_prices, describe_endpoint, describe_judge, limit_cost
from engine.settings import Settings


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
class PlannedPrompt:
    """A prompt as it would be sent.

    ``turns`` are pairs of a user's message and the answer to it, which stand before ``user``. ``system`` is None where
    the model is to continue a document. ``schema`` is the JSON schema of the reply, None where there is none;
    ``questions`` are those that a decision model is asked of ``user``.
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
    """What a run would do.

    Args:
        fields: what the model names, each with an equal share of the subjects; ``not_covered`` those of them that no
            scenario pack has subjects of.
        proposed_by: the model that a run would first ask for subjects; None if it would not. The dry run does not ask:
            its subjects are from the lists alone, and the run will have another ``plan_id``.
        scenario_lists: what scenarios are drawn from, by ``forms``, ``audiences``, ``lengths`` and ``subjects``; the
            notes say why these.
        refused: why the run would be refused now, since its cost cannot be limited; None where it would start.
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
    """Describes the run of a plan that was made without proposed subjects.

    Args:
        more_notes: what else is to be known.
        prompts: how many prompts of each kind are included, at most.
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
