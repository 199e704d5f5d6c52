"""Estimate a run, and run its rounds with each step as a Prefect task."""

import asyncio
import logging
from functools import partial

from prefect import get_run_logger

from engine.asking.plan import Plan
from engine.choosing.run_state import RunState
from engine.domain.progress import EstimateReady, Progress
from engine.estimate.call_kinds import list_calls
from engine.estimate.estimate import Estimate, estimate_calls, format_estimate
from engine.estimate.speeds import read_speeds
from engine.llm.replies.admin import count_kept_replies
from engine.run.gateways import LanguageModels
from engine.run.rounds import BeforeRound, Generated, RunTools, run_rounds
from engine.settings import Settings
from flows.run.resources import RunResources
from tasks.generate import generate
from tasks.screen import screen


async def estimate(settings: Settings, plan: Plan, models: LanguageModels, progress: Progress) -> Estimate:
    """Estimate a run from its plan, log the estimate and report it; the verdict shows it next to the spent cost."""
    gateway, judge = models.gateway, models.voting_judge.gateway.endpoint if models.voting_judge else None
    key = plan.plan_id, gateway.endpoint.identity
    kept = await asyncio.to_thread(count_kept_replies, settings.replies_place, *key)
    calls = list_calls(plan, gateway.endpoint, judge)
    result = estimate_calls(calls, gateway.budget.max_usd, kept, read_speeds(settings))
    line = format_estimate(result)
    get_run_logger().log(logging.WARNING if result.unpriced else logging.INFO, "%s", line)
    progress.report(EstimateReady(line, result.writing, result.judging))
    return result


async def run_as_tasks(
    state: RunState, tools: RunTools, expected: Estimate, resources: RunResources, before_round: BeforeRound
) -> RunState:
    """Run the rounds of a run; arguments and errors as for ``run_rounds``."""

    async def screen_in_task(state: RunState, generated: Generated, tools: RunTools) -> RunState:
        judge = tools.models.voting_judge
        # If votes wait for a batch, the step stops early: as a task, it would show as failed on the page.
        if judge and judge.ask_ahead:
            return await screen.fn(state, generated, tools)
        return await resources.call(screen, state, generated, tools)

    return await run_rounds(state, tools, expected, partial(generate, resources.call), screen_in_task, before_round)
