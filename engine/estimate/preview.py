"""Previews what a run would do, for the dry run, before any call is made or any file written."""

from dataclasses import asdict, dataclass

from engine.asking.plan import Plan, count_scenarios
from engine.asking.prompts import prompts_version
from engine.asking.scenarios import ScenarioPool, list_proposable
from engine.domain.model import POLES, Length
from engine.domain.samples import Scenario
from engine.estimate.call_kinds import CallKind, plan_examples
from engine.estimate.estimate import Estimate, estimate_plan
from engine.estimate.notes import list_notes
from engine.estimate.planned_run import (
    PlannedCalls,
    PlannedPrompt,
    PlannedRun,
    PlannedScenario,
    Quota,
    ScenarioList,
    SubjectSource,
)
from engine.llm.client.request import Endpoint

SHOWN_SCENARIOS = 3


@dataclass(frozen=True, slots=True)
class Preview:
    """What a run would do.

    ``scenarios`` are the first of each trait, with the trait's key. ``refused`` says why the run would be refused,
    because its cost cannot be limited; it is empty if the run would start. ``proposed_by`` names the synth model if the
    run would first ask it for subjects. The preview does not: its scenarios come from the pack alone, and the run will
    have another ``plan_id``, since subjects are an input of the plan.
    """

    plan: Plan
    endpoint: Endpoint
    prompts_version: str
    proposed_by: str | None
    quotas: tuple[Quota, ...]
    scenarios: tuple[tuple[str, Scenario], ...]
    estimate: Estimate
    refused: str
    notes: tuple[str, ...]


def preview_plan(
    plan: Plan, endpoint: Endpoint, limit_usd: float | None, judge: Endpoint | None = None, refused: str = ""
) -> Preview:
    """Previews a plan that was made without proposed subjects; ``judge`` is the chat judge's endpoint or None."""
    return Preview(
        plan=plan,
        endpoint=endpoint,
        prompts_version=prompts_version(),
        proposed_by=None if endpoint.style == "plain" or not list_proposable(plan.model) else endpoint.name,
        quotas=_list_quotas(plan),
        scenarios=_list_scenarios(plan),
        estimate=estimate_plan(plan, endpoint, judge, limit_usd),
        refused=refused,
        notes=list_notes(plan, endpoint),
    )


def describe_preview(preview: Preview, shown: int) -> dict[str, object]:
    """Returns the preview as values for JSON.

    Args:
        shown: how many prompts of each kind are included, at most.
    """
    return asdict(make_planned_run(preview, shown))


def make_planned_run(preview: Preview, shown: int) -> PlannedRun:
    """Makes the plain values of a preview; ``shown`` as in ``describe_preview``."""
    plan, level, estimate = preview.plan, preview.plan.level, preview.estimate
    lists = describe_scenario_lists(plan.scenario_pool)
    return PlannedRun(
        handle=plan.model.handle,
        synth_type=plan.synth_type,
        effort=level.effort,
        synth_model=preview.endpoint.name,
        plan_id=plan.plan_id,
        prompts_version=preview.prompts_version,
        seed=plan.seed,
        top_up_rounds=level.top_up_rounds,
        quotas=preview.quotas,
        subjects=SubjectSource(
            tuple(field.name for field in plan.scenario_pool.fields),
            plan.scenario_pool.uncovered,
            "lists",
            preview.proposed_by,
        ),
        scenario_lists={
            part: ScenarioList(tuple(values), plan.scenario_pool.reasons.get(part)) for part, values in lists.items()
        },
        scenarios=tuple(PlannedScenario(trait, **asdict(scenario)) for trait, scenario in preview.scenarios),
        prompts=tuple(prompt for kind in estimate.kinds for prompt in _list_prompts(kind, shown)),
        calls=tuple(
            PlannedCalls(kind.name, kind.endpoint.name, amounts.likely, amounts.most)
            for kind, amounts in zip(estimate.kinds, estimate.amounts, strict=True)
        ),
        total=estimate.total,
        price=preview.endpoint.price,
        unpriced=estimate.unpriced,
        dearest_call_usd=estimate.max_call_usd,
        max_cost_usd=estimate.limit_usd,
        refused=preview.refused or None,
        skipped=plan.model.skipped,
        notes=preview.notes,
    )


def describe_scenario_lists(scenario_pool: ScenarioPool) -> dict[str, list[str]]:
    """Returns a scenario pool's forms, audiences, lengths and subjects, in words."""
    return {
        "forms": list(scenario_pool.forms),
        "audiences": list(scenario_pool.audiences),
        "lengths": [_describe_length(item) for item in scenario_pool.lengths],
        "subjects": list(scenario_pool.subjects),
    }


def _describe_length(length: Length) -> str:
    """Returns a length's name with its range of words, which is the name of one that is made from seeds."""
    return length.words if length.name == length.words else f"{length.name} ({length.words})"


def _list_quotas(plan: Plan) -> tuple[Quota, ...]:
    cells = count_scenarios(plan.level, 1, plan.wanted)
    return tuple(
        Quota(trait.key, trait.type, pole, trait.label(pole), plan.quotas[trait.key, pole], cells)
        for trait in plan.model.traits
        for pole in POLES
    )


def _list_scenarios(plan: Plan) -> tuple[tuple[str, Scenario], ...]:
    cells = plan_examples(plan)
    drawn = {
        trait.key: dict.fromkeys(cell.scenario for cell in cells if cell.trait == trait.key)
        for trait in plan.model.traits
    }
    return tuple((trait, scenario) for trait, every in drawn.items() for scenario in list(every)[:SHOWN_SCENARIOS])


def _list_prompts(kind: CallKind, shown: int) -> list[PlannedPrompt]:
    return [
        PlannedPrompt(
            kind.name,
            example.title,
            example.note or None,
            prompt.user,
            prompt.system,
            prompt.turns,
            example.request.max_tokens,
            example.request.temperature,
            example.request.schema,
        )
        for example in kind.examples[:shown]
        for prompt in (example.request.prompt,)
    ]
