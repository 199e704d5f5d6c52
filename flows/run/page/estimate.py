"""Between plan and generate: what the run will cost, in the log and to whoever watches."""

import asyncio
import logging

from prefect import get_run_logger

from engine.choosing.rounds import Rounds
from engine.domain.progress import EstimateMade, Progress
from engine.estimate.call_kinds import list_calls
from engine.estimate.estimate import Estimate, estimate_calls, format_estimate
from engine.estimate.speeds import read_speeds
from engine.llm.gateway.model_gateway import ModelGateway
from engine.llm.replies.admin import count_kept_replies
from engine.screening.voting_judge import VotingJudge
from engine.settings import Settings


async def estimate(
    settings: Settings,
    rounds: Rounds,
    gateway: ModelGateway,
    voting_judge: VotingJudge,
    progress: Progress,
) -> Estimate:
    """The estimate of a run that has its plan, logged and told; the verdict has it beside what was spent."""
    kept = await asyncio.to_thread(count_kept_replies, settings.replies_place, rounds.plan.plan_id)
    calls = list_calls(rounds.plan, gateway.endpoint, voting_judge.endpoint)
    made = estimate_calls(calls, gateway.budget.max_cost_usd, kept, read_speeds(settings))
    line = format_estimate(made)
    level = logging.WARNING if made.unpriced else logging.INFO
    get_run_logger().log(level, "%s", line)
    progress.report(EstimateMade(line, made.writing, made.judging))
    return made
