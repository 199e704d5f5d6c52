"""Rounds of a run: what they will cost; cells are asked for, screened and chosen among, until the quotas are met."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import nullcontext

from prefect import get_run_logger

from engine.asking.plan import Cell, Plan
from engine.choosing.rounds import Rounds
from engine.domain.progress import CallsPlanned, EstimateMade, KeptCounted, LastCall, Progress, StageBegun
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
    """The estimate of a run that has its plan, logged and told; the verdict has it beside what was spent."""
    gateway, judge = models.gateway, models.voting_judge.gateway.endpoint if models.voting_judge else None
    asked = rounds.plan.plan_id, gateway.endpoint.identity
    kept = await asyncio.to_thread(count_kept_replies, settings.replies_place, *asked)
    calls = list_calls(rounds.plan, gateway.endpoint, judge)
    made = estimate_calls(calls, gateway.budget.max_usd, kept, read_speeds(settings))
    line = format_estimate(made)
    get_run_logger().log(logging.WARNING if made.unpriced else logging.INFO, "%s", line)
    progress.report(EstimateMade(line, made.writing, made.judging))
    return made


async def run_rounds(
    rounds: Rounds,
    models: LanguageModels,
    progress: Progress,
    expected: Estimate,
    resources: RunResources,
    queue_cells: QueueCells | None = None,
) -> None:
    """Asks, screens and chooses, round by round, until the quotas are met or the rounds are spent.

    Args:
        queue_cells: given the cells of each round before they are asked; it ends the run where they are to wait.
    """
    gateway, voting_judge = models.gateway, models.voting_judge
    progress.report(KeptCounted(rounds.count_kept(), rounds.plan.quotas))
    place = rounds.plan.plan_id, rounds.plan.model.handle
    keeping_votes = voting_judge.gateway.keeping(*place) if voting_judge else nullcontext()
    async with gateway.holding(rounds.subjects_plan_id), gateway.keeping(*place), keeping_votes:
        while cells := rounds.next_cells():
            progress.report(StageBegun(f"Round {rounds.round_no}: {count_noun(len(cells), 'cell')}"))
            progress.report(CallsPlanned(len(cells)))
            if queue_cells is not None:
                await queue_cells(rounds.plan, cells, gateway)
            try:
                exemplars = await generate(rounds, cells, gateway, progress, resources.run_in_worker, resources.call)
                # Where votes may wait for a batch, the step may be left undone: no task of the page that has failed.
                asked = rounds, exemplars, gateway, voting_judge, progress, resources.run_in_worker
                if voting_judge is None or voting_judge.ask_ahead is None:
                    await resources.call(screen, *asked)
                else:
                    await screen.fn(*asked)
            except BudgetError as error:
                if not rounds.choice.complete:
                    kept, lacking = len(rounds.choice.chosen), sum(rounds.choice.shortfall.values())
                    raise explain_budget(error, expected, gateway.budget.spent_usd, kept, lacking) from error
                # The quotas are met: what more money would have made better is no reason to lose them.
                get_run_logger().warning("%s", error)
                break
            progress.report(KeptCounted(rounds.count_kept(), rounds.plan.quotas))
    progress.report(LastCall())
    progress.report(StageBegun("Check"))
