"""The batches of a round share its first replies."""

import asyncio
from pathlib import Path

from fakes.builders import make_level, make_model, make_rounds, make_test_plan
from fakes.client import FakeClient, HeardProgress
from prefect.logging import disable_run_logger

from engine.llm.client.request import Reply
from engine.llm.gateway.budget import RunBudget
from engine.llm.gateway.model_gateway import ModelGateway
from engine.settings import RepliesPlace
from tasks.generate import generate


async def test_round_of_which_nothing_can_be_read_ends_with_one_call_in_flight(tmp_path: Path) -> None:
    rounds = make_rounds(make_test_plan(make_model(), make_level(60, over_generation=1.0)))
    client = FakeClient(lambda _: Reply("no JSON", "stop"), seconds=0.0)
    gateway = ModelGateway(client, RepliesPlace(str(tmp_path)), HeardProgress(), RunBudget(1))
    async with gateway.keeping(rounds.plan.plan_id), asyncio.timeout(60):
        with disable_run_logger():
            made = await generate(rounds, rounds.next_cells(), gateway, as_tasks=False)

    assert (["unreadable"] * 120, 240) == ([exemplar.reason for exemplar in made], len(client.requests))
