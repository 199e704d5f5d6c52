"""Between plan and generate: what the run will cost, in the log and on the run page while it goes on."""

import asyncio

import httpx
from prefect import get_run_logger
from prefect.runtime import flow_run

from engine.choosing.rounds import Rounds
from engine.domain.progress import EstimateMade, Progress
from engine.estimate.call_kinds import OUTLOOKS
from engine.estimate.estimate import Estimate, estimate_plan
from engine.estimate.wording import ASSUMPTIONS, explain_estimate, format_estimate
from engine.llm.gateway.model_gateway import ModelGateway
from engine.llm.replies.admin import count_kept_replies
from engine.report.run_page import escape
from engine.screening.voting_judge import VotingJudge
from engine.settings import Settings
from engine.text.formatting import format_cost
from flows.run.page.artifacts import show


async def estimate(
    settings: Settings,
    rounds: Rounds,
    gateway: ModelGateway,
    voting_judge: VotingJudge,
    progress: Progress,
    shown: bool = True,
) -> Estimate:
    """The estimate of a run that has its plan, logged and shown.

    Not a task, for the same reason as ``report``. A server that is away is no reason to fail.

    Args:
        shown: whether it becomes an artifact of the run page.
    """
    kept = await asyncio.to_thread(count_kept_replies, settings.replies_place, rounds.plan.plan_id)
    made = estimate_plan(rounds.plan, gateway.endpoint, voting_judge.endpoint, gateway.budget.max_cost_usd, kept)
    line = format_estimate(made)
    logger = get_run_logger()
    if made.is_limit_too_low or made.unpriced:
        logger.warning("%s", line)
    else:
        logger.info("%s", line)
    progress.report(EstimateMade(line))
    if not shown:
        return made
    try:
        await show(str(flow_run.get_id()), "estimate", write_estimate(made), f"{_describe_likely(made)}\n\n{line}")
    except httpx.HTTPError as error:
        logger.warning("The run page lacks its estimate: %s", error)
    return made


def write_estimate(made: Estimate) -> str:
    """The markdown of the run page."""
    lines = ["# Estimate", "", "| | calls | tokens in | tokens out | cost | |", "|---|--:|--:|--:|--:|---|"]
    for outlook in OUTLOOKS:
        amount = made.total.at(outlook)
        counts = (amount.calls, amount.tokens_in, amount.tokens_out)
        figures = " | ".join(f"{count:,}" for count in counts)
        cost = "nothing" if made.is_free else format_cost(amount.cost_usd)
        lines.append(f"| {outlook} | {figures} | {cost} | {ASSUMPTIONS[outlook]} |")
    return "\n".join([*lines, "", *(f"- {escape(sentence)}" for sentence in explain_estimate(made))])


def _describe_likely(made: Estimate) -> str:
    """The few words that a card of the page has room for."""
    likely = made.total.likely
    cost = "nothing" if made.is_free else format_cost(likely.cost_usd)
    return f"Likely cost: {cost}"
