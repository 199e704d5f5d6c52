"""A machine that asks for everything until its limit on cost is reached; it says on stdout what it has paid for."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

from fakes.client import FakeClient, HeardProgress, labelled

from engine.errors import BudgetError
from engine.gateway.budget import RunBudget, bound_call
from engine.gateway.model_gateway import ModelGateway
from engine.llm.prices import Price
from engine.llm.request import Endpoint, Prompt, Reply, Request
from engine.settings import RepliesPlace

PLAN = "plan-1"
PRICED = Endpoint(name="openai/test", model="openai/test", identity="openai/test@", price=Price(1e-6, 1e-5))
CALL_USD = 0.0004
CONCURRENCY = 16
CALL_SECONDS = 0.005
ROOT = Path(__file__).parents[2]


def start_spender(place: RepliesPlace, calls: int, limit_usd: float) -> "subprocess.Popen[bytes]":
    """Starts it; it writes a byte for each call from the moment that this is paid, and ends with the limit."""
    words = (place.cache_dir, place.url or "", str(calls), str(limit_usd))
    return subprocess.Popen(
        [sys.executable, "-m", "fakes.spender", *words],
        env=os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
        stdout=subprocess.PIPE,
    )


class _Spender(FakeClient):
    async def complete(self, request: Request) -> Reply:
        os.write(1, b".")
        await asyncio.sleep(CALL_SECONDS)
        return await super().complete(request)


def _answer(request: Request) -> Reply:
    assert CALL_USD <= (bound_call(request, PRICED).usd or 0)
    return Reply("one", "stop", 100, 30, CALL_USD)


async def _ask_all(cache_dir: str, url: str, calls: str, limit_usd: str) -> None:
    place, budget = RepliesPlace(cache_dir, url or None), RunBudget(CONCURRENCY, float(limit_usd))
    gateway = ModelGateway(_Spender(_answer, PRICED), place, HeardProgress(), budget)
    async with gateway.keeping(PLAN):
        requests = (Request(Prompt(f"Write text {number}."), 60, 0.8) for number in range(int(calls)))
        asking = (gateway.complete(labelled(f"cell-{number}", request)) for number, request in enumerate(requests))
        outcomes = await asyncio.gather(*asking, return_exceptions=True)
    assert {Reply, BudgetError} >= {type(outcome) for outcome in outcomes}
    sys.exit(3 if any(isinstance(outcome, BudgetError) for outcome in outcomes) else 0)


if __name__ == "__main__":
    asyncio.run(_ask_all(*sys.argv[1:]))
