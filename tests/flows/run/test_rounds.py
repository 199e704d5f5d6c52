"""The estimate before the run is told to who watches."""

from dataclasses import replace
from pathlib import Path

from fakes.builders import make_level, make_test_plan
from fakes.client import CHAT, FakeClient, HeardProgress
from fakes.reply_tables import place_in
from prefect.logging import disable_run_logger

from engine.domain.progress import EstimateReady
from engine.estimate.call_kinds import list_calls
from engine.estimate.estimate import estimate_calls
from engine.llm.client.prices import Price
from engine.llm.client.request import Reply
from engine.llm.gateway.budget import RunBudget
from engine.llm.gateway.model_gateway import ModelGateway
from engine.llm.replies.replies import ReplyStore
from engine.run.gateways import LanguageModels
from engine.screening.voting_judge import VotingJudge
from engine.settings import Settings
from flows.run.rounds import estimate

PRICED = replace(CHAT, price=Price(4e-7, 1.6e-6))


async def test_estimate_has_the_judge_the_limit_and_what_is_kept(tmp_path: Path) -> None:
    plan = make_test_plan(level=make_level(judge_votes=1))
    budget, progress = RunBudget(4, max_cost_usd=0.5), HeardProgress()
    synth, judge = (
        ModelGateway(FakeClient(lambda _: Reply("", "stop"), endpoint), place_in(tmp_path), progress, budget)
        for endpoint in (PRICED, replace(CHAT, name="openai/judge"))
    )
    with ReplyStore(place_in(tmp_path), plan.plan_id) as replies:
        await replies.keep("key", Reply("", "stop"))
    with disable_run_logger():
        models = LanguageModels(synth, VotingJudge(judge, 1))
        made = await estimate(Settings(cache_dir=str(tmp_path)), plan, models, progress)

    assert estimate_calls(list_calls(plan, PRICED, judge.endpoint), 0.5, kept=1) == made
    [event] = progress.events
    assert isinstance(event, EstimateReady)
    assert "no price is known for openai/judge: its cost is not counted; the limit is $0.50; 1 reply kept" in event.text
