"""Estimate and run the rounds of a run: request, screen and choose exemplars until the quotas are met."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import nullcontext

from prefect import get_run_logger

from engine.asking.plan import Cell, Plan
from engine.choosing.rounds import Rounds
from engine.domain.progress import CallsPlanned, EstimateReady, KeptCounted, LastCall, Progress, StageBegun
from engine.errors import BudgetError
from engine.estimate.call_kinds import list_calls
from engine.estimate.estimate import Estimate, estimate_calls, explain_budget, format_estimate
from engine.estimate.speeds import read_speeds
from engine.llm.gateway.model_gateway import ModelGateway
from engine.llm.replies.admin import count_kept_replies
from engine.run.gateways import LanguageModels
from engine.settings import Settings
from engine.text.formatting import count_noun
from flows.run.resources import RunResources
from tasks.generate import generate
from tasks.screen import screen

QueueCells = Callable[[Plan, Sequence[Cell], ModelGateway], Awaitable[None]]


async def estimate(settings: Settings, rounds: Rounds, models: LanguageModels, progress: Progress) -> Estimate:
    """Estimate a run from its plan, log the estimate and report it; the verdict shows it next to the spent cost."""
    gateway, judge = models.gateway, models.voting_judge.gateway.endpoint if models.voting_judge else None
    key = rounds.plan.plan_id, gateway.endpoint.identity
    kept = await asyncio.to_thread(count_kept_replies, settings.replies_place, *key)
    calls = list_calls(rounds.plan, gateway.endpoint, judge)
    result = estimate_calls(calls, gateway.budget.max_usd, kept, read_speeds(settings))
    line = format_estimate(result)
    get_run_logger().log(logging.WARNING if result.unpriced else logging.INFO, "%s", line)
    progress.report(EstimateReady(line, result.writing, result.judging))
    return result


async def run_rounds(
    rounds: Rounds,
    models: LanguageModels,
    progress: Progress,
    expected: Estimate,
    resources: RunResources,
    queue_cells: QueueCells | None = None,
) -> None:
    """Request, screen and choose exemplars, round by round, until the quotas are met or no round is left.

    Args:
        queue_cells: receives the cells of each round before they are requested; ends the run if they go in a batch.
    """
    gateway, voting_judge = models.gateway, models.voting_judge
    progress.report(KeptCounted(rounds.count_kept(), rounds.plan.quotas))
    place = rounds.plan.plan_id, rounds.plan.model.handle
    keeping_votes = voting_judge.gateway.record_replies(*place) if voting_judge else nullcontext()
    async with gateway.pin_replies(rounds.subjects_plan_id), gateway.record_replies(*place), keeping_votes:
        while cells := rounds.next_cells():
            progress.report(StageBegun(f"Round {rounds.round_no}: {count_noun(len(cells), 'cell')}"))
            progress.report(CallsPlanned(len(cells)))
            if queue_cells is not None:
                await queue_cells(rounds.plan, cells, gateway)
            try:
                exemplars = await generate(rounds, cells, gateway, progress, resources.run_in_worker, resources.call)
                # If votes wait for a batch, the step stops early: as a task, it would show as failed on the page.
                args = rounds, exemplars, gateway, voting_judge, progress, resources.run_in_worker
                if voting_judge is None or voting_judge.ask_ahead is None:
                    await resources.call(screen, *args)
                else:
                    await screen.fn(*args)
            except BudgetError as error:
                if not rounds.choice.complete:
                    kept, missing = len(rounds.choice.chosen), sum(rounds.choice.shortfall.values())
                    raise explain_budget(error, expected, gateway.budget.spent_usd, kept, missing) from error
                # The quotas are met. More money would only have improved the set, so the run succeeds.
                get_run_logger().warning("%s", error)
                break
            progress.report(KeptCounted(rounds.count_kept(), rounds.plan.quotas))
    progress.report(LastCall())
    progress.report(StageBegun("Check"))
