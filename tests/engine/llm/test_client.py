"""What litellm makes of a provider's usage comes through: cached tokens, those of thoughts, and so the cost."""

import asyncio
from typing import Any

import pytest
from fakes.provider import serve_app
from fastapi import FastAPI

from engine.llm.client import LitellmClient
from engine.llm.prices import Price
from engine.llm.request import Endpoint, Prompt, Reply, Request

# USD a token: plain prompt, reply, prompt from the cache, prompt into the cache.
PRICE = Price(1.0, 10.0, 0.1, 2.0)
OPENAI: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 0,
    "model": "test",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Yes.", "reasoning_content": "Hm."},
            "finish_reason": "stop",
        }
    ],
    "usage": {
        "prompt_tokens": 100,
        "completion_tokens": 30,
        "total_tokens": 130,
        "prompt_tokens_details": {"cached_tokens": 60},
        "completion_tokens_details": {"reasoning_tokens": 20},
    },
}
CLAUDE: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-4-5",
    "content": [{"type": "thinking", "thinking": "Hm.", "signature": "s"}, {"type": "text", "text": "Yes."}],
    "stop_reason": "end_turn",
    "usage": {
        "input_tokens": 20,
        "output_tokens": 30,
        "cache_read_input_tokens": 60,
        "cache_creation_input_tokens": 20,
    },
}


async def ask(model: str, path: str, answer: dict[str, Any]) -> tuple[Reply, dict[str, Any]]:
    app, bodies = FastAPI(), list[dict[str, Any]]()

    @app.post(path)
    async def complete(body: dict[str, Any]) -> dict[str, Any]:
        bodies.append(body)
        return answer

    with serve_app(app) as url:
        base = f"{url}{path.removesuffix('/chat/completions').removesuffix('/v1/messages')}"
        client = LitellmClient(Endpoint(model, model, model, api_base=base, api_key="sk-test", price=PRICE), 60)
        reply = await client.complete(Request(Prompt("Is it?"), 100, 0.8, thinking="low"))
        await client.close()
    return reply, bodies[0]


@pytest.mark.parametrize(
    ("model", "path", "answer", "cost_usd"),
    [
        ("openai/gpt-5-mini", "/v1/chat/completions", OPENAI, 40 + 60 * 0.1 + 30 * 10),
        ("anthropic/claude-sonnet-4-5", "/v1/messages", CLAUDE, 20 + 60 * 0.1 + 20 * 2 + 30 * 10),
    ],
)
async def test_tokens_cost_and_thinking_come_through(
    model: str, path: str, answer: dict[str, Any], cost_usd: float
) -> None:
    reply, body = await ask(model, path, answer)

    assert ("Yes.", "stop", 100, 30, 60) == (
        reply.text,
        reply.finish,
        reply.prompt_tokens,
        reply.completion_tokens,
        reply.cached_tokens,
    )
    assert cost_usd == pytest.approx(reply.cost_usd)
    assert "reasoning_effort" in body or "thinking" in body


async def test_run_that_ends_closes_nothing_that_another_of_the_process_opens_or_uses() -> None:
    app = FastAPI()

    @app.post("/{path:path}")
    async def complete(path: str, body: dict[str, Any]) -> dict[str, Any]:
        return CLAUDE if path.endswith("messages") else OPENAI

    with serve_app(app) as url:

        async def run(provider: str, place: str, begins: asyncio.Event, ends: asyncio.Event) -> str:
            model = f"{provider}/test"
            client = LitellmClient(Endpoint(model, model, model, api_base=f"{url}/{place}", api_key="sk-test"), 60)
            await begins.wait()
            reply = await client.complete(Request(Prompt("Is it?"), 100, 0.8))
            ends.set()
            await client.close()
            return reply.text

        at_once, first, last = asyncio.Event(), asyncio.Event(), asyncio.Event()
        at_once.set()
        said = await asyncio.gather(
            run("openai", "first", at_once, first),
            *[
                run(provider, place, first, last)
                for provider in ("openai", "anthropic")
                for place in ("first", "other")
            ],
        )

    assert ["Yes."] * 5 == said
