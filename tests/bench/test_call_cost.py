"""What a call costs this process: litellm's ways beside OpenAI's own client, and what is ours. CALLS=n ROUNDS=n.

All ways are in this process and take turns, so that each meets the machine as it is; the first turn, in which libraries
import lazily, does not count. The provider's CPU time is counted apart: it is a process of its own.
"""

import asyncio
import inspect
import json
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from bench.loops import open_litellm, open_openai
from bench.test_generation import watch
from chaos.faults import Script
from chaos.provider import MODEL, serve_chaos
from fakes.builders import make_level, make_model, make_seeds, make_test_plan, make_trait
from fakes.client import FakeClient

from engine.domain.progress import LoggedProgress
from engine.gateway.budget import RunBudget
from engine.gateway.model_gateway import ModelGateway
from engine.generation.cells import generate_cell
from engine.generation.requests import make_chat_request
from engine.llm.client import LitellmClient
from engine.llm.prices import find_price
from engine.llm.redaction import RedactingClient
from engine.llm.request import Endpoint, Reply, Request
from engine.planning.plan import Cell, RoundHistory, plan_round
from engine.settings import RepliesPlace

CALLS = int(os.environ.get("CALLS", "500"))
ROUNDS = int(os.environ.get("ROUNDS", "3"))
CONCURRENCY = 32
LATENCY_SECONDS = 0.02
WARM_UP = 32
PARTNER = "bare litellm loop"
PLAN = make_test_plan(
    make_model(make_trait("clarity"), seeds=make_seeds()), make_level(max(CALLS, WARM_UP) // 2, over_generation=1.0)
)

Send = Callable[[Any], Awaitable[object]]


@pytest.mark.timeout(3600)
async def test_cpu_time_of_a_call(tmp_path: Path) -> None:
    cells = plan_round(PLAN, 1, PLAN.full_shortfall(), RoundHistory({}))
    requests = [make_chat_request(PLAN, cell, "English") for cell in cells]
    bodies = [make_body(request) for request in requests]
    with serve_chaos(tmp_path, Script(latency_seconds=LATENCY_SECONDS)) as provider:
        endpoint = Endpoint(MODEL, MODEL, MODEL, api_base=provider.url, api_key="test", price=find_price(MODEL))
        client, answering = LitellmClient(endpoint, 60), FakeClient(make_reply, endpoint, LATENCY_SECONDS)
        whole, ours = (make_gateway(tmp_path / name, each) for name, each in (("whole", client), ("ours", answering)))
        ways: dict[str, tuple[Send, Sequence[Any]]] = {
            "OpenAI's client": (open_openai(provider.url), bodies),
            PARTNER: (open_litellm(provider.url), bodies),
            "a Router": (open_router(provider.url), bodies),
            "without its wrappers": (open_unwrapped(provider.url), bodies),
            "our client of it": (client.complete, requests),
            "a cell, whole": (make_generate(whole), cells),
            "a cell, no litellm": (make_generate(ours), cells),
        }
        found: dict[str, list[float]] = {name: [] for name in ways}
        with watch(provider.process.pid) as usage:
            for number in range(ROUNDS + 1):
                for name, (send, items) in ways.items():
                    async with whole.keeping(f"plan-{number}"), ours.keeping(f"plan-{number}"):
                        ms = await measure(send, items if number else items[:WARM_UP])
                    found[name] += [ms] if number else []
        answered = sum(1 for _ in provider.read())
        served_ms = 1e3 * (usage.samples[-1][1] - usage.samples[0][1]) / answered
        await client.close()
    print(f"\n{len(cells)} calls of {LATENCY_SECONDS:g} s, {CONCURRENCY} in flight, {ROUNDS} rounds")
    print(show(found))
    print(f"the provider's own, apart: {served_ms:.2f} CPU ms a call")


async def measure(send: Send, items: Sequence[Any]) -> float:
    """CPU ms of this process for each item; so many are in flight."""
    slots = asyncio.Semaphore(CONCURRENCY)

    async def send_one(item: Any) -> None:
        async with slots:
            await send(item)

    began = time.process_time()
    await asyncio.gather(*map(send_one, items))
    return 1e3 * (time.process_time() - began) / len(items)


def make_body(request: Request) -> dict[str, Any]:
    """The request as a client sends it."""
    return {
        "model": MODEL.partition("/")[2],
        "messages": [{"role": role, "content": text} for role, text in request.prompt.messages],
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "reply", "strict": True, "schema": request.schema},
        },
    }


def open_router(url: str) -> Send:
    """Sends by litellm's Router of one deployment."""
    from litellm.router import Router

    options = {"model": MODEL, "api_base": url, "api_key": "test"}
    router = Router(model_list=[{"model_name": "test", "litellm_params": options}], num_retries=0)
    return lambda body: router.acompletion(**{**body, "model": "test"})


def open_unwrapped(url: str) -> Send:
    """Sends by litellm's own function without its decorator."""
    import litellm

    acompletion: Any = inspect.unwrap(litellm.acompletion)

    async def send(body: dict[str, Any]) -> object:
        record = litellm.Logging(MODEL, body["messages"], False, "acompletion", datetime.now(), "", "")
        told = {**body, "model": MODEL, "api_base": url, "api_key": "test", "max_retries": 0}
        return await acompletion(**told, litellm_logging_obj=record)

    return send


def make_gateway(folder: Path, client: LitellmClient | FakeClient) -> ModelGateway:
    """The whole way to a model: kept replies, budget, throttle, retries, redaction."""
    return ModelGateway(
        RedactingClient(client), RepliesPlace(str(folder)), LoggedProgress(), RunBudget(CONCURRENCY, 1e6)
    )


def make_generate(gateway: ModelGateway) -> Callable[[Cell], Awaitable[object]]:
    """Asks for a cell: its prompt is written, and its reply read."""
    return lambda cell: generate_cell(PLAN, cell, gateway, "English")


def make_reply(request: Request) -> Reply:
    """What comes at once from a model that costs nothing to ask."""
    return Reply(json.dumps({"text": f"The kettle of {request.label} was moved."}), "stop", 400, 60, 0.0001)


def show(found: dict[str, list[float]]) -> str:
    """The table: the least of all rounds, which other work on the machine has disturbed the least, and the most."""
    partner = min(found[PARTNER])
    lines = [f"{'':<24}{'CPU ms a call':>14}{'to':>8}{'× ' + PARTNER:>22}"]
    lines += [
        f"{name:<24}{min(times):>14.2f}{max(times):>8.2f}{min(times) / partner:>22.2f}" for name, times in found.items()
    ]
    return "\n".join(lines)
