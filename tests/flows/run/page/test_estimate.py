"""The estimate before the run: told to who watches and to the run page, and no reason to fail."""

from dataclasses import replace
from pathlib import Path

import pytest
from fakes.builders import make_level, make_rounds, make_test_plan
from fakes.client import CHAT, FakeClient, HeardProgress
from fakes.ports import find_free_port
from prefect.logging import disable_run_logger
from prefect.settings import PREFECT_API_URL, temporary_settings

from engine.domain.progress import EstimateMade
from engine.estimate.estimate import estimate_plan
from engine.llm.client.prices import Price
from engine.llm.client.request import Reply
from engine.llm.gateway.budget import RunBudget
from engine.llm.gateway.model_gateway import ModelGateway
from engine.llm.replies.replies import ReplyStore
from engine.screening.voting_judge import VotingJudge
from engine.settings import RepliesPlace, Settings
from flows.run.page.estimate import estimate

PRICED = replace(CHAT, price=Price(4e-7, 1.6e-6))


async def test_estimate_has_the_judge_the_limit_and_what_is_kept_and_is_told_where_the_server_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT__FLOW_RUN_ID", "11111111-1111-1111-1111-111111111111")
    plan = make_test_plan(level=make_level(judge_votes=1))
    budget, progress = RunBudget(4, max_cost_usd=0.5), HeardProgress()
    synth, judge = (
        ModelGateway(FakeClient(lambda _: Reply("", "stop"), endpoint), RepliesPlace(str(tmp_path)), progress, budget)
        for endpoint in (PRICED, replace(CHAT, name="openai/judge"))
    )
    with ReplyStore(RepliesPlace(str(tmp_path)), plan.plan_id) as replies:
        await replies.keep("key", Reply("", "stop"))
    with temporary_settings({PREFECT_API_URL: f"http://127.0.0.1:{find_free_port()}/api"}), disable_run_logger():
        made = await estimate(
            Settings(cache_dir=str(tmp_path)), make_rounds(plan), synth, VotingJudge(judge, 1), progress
        )

    assert estimate_plan(plan, PRICED, judge.endpoint, 0.5, kept=1) == made
    [event] = progress.events
    assert isinstance(event, EstimateMade)
    assert "no price is known for openai/judge: its cost is not counted; the limit is $0.50; 1 reply kept" in event.text
