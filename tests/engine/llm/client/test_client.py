"""What litellm sends of a prompt, and what it makes of a provider's usage: marks for a cache, tokens, and the cost."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from fakes.provider import serve_app
from fastapi import FastAPI

from engine.llm.client.litellm_client import LitellmClient
from engine.llm.client.prices import Price
from engine.llm.client.request import Endpoint, Prompt, Reply, Request

GPT, CLAUDE = "openai/gpt-5-mini", "anthropic/claude-sonnet-4-5"
# USD a token: plain prompt, reply, prompt from the cache, prompt into the cache.
PRICE = Price(1.0, 10.0, 0.1, 2.0)
ASKED = Request(Prompt("Is it?"), 100, 0.8)
GPT_ANSWER: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 0,
    "model": "test",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Yes."}, "finish_reason": "stop"}],
    "usage": {
        "prompt_tokens": 100,
        "completion_tokens": 30,
        "total_tokens": 130,
        "prompt_tokens_details": {"cached_tokens": 60},
        "completion_tokens_details": {"reasoning_tokens": 20},
    },
}
CLAUDE_ANSWER: dict[str, Any] = {
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


@dataclass
class Both:
    """A server that answers like OpenAI and like Anthropic, and keeps what it was sent."""

    url: str
    bodies: list[dict[str, Any]] = field(default_factory=list)

    async def ask(self, model: str, request: Request = ASKED, place: str = "v1") -> Reply:
        base = f"{self.url}/{place}"
        client = LitellmClient(Endpoint(model, model, model, api_base=base, api_key="sk-test", price=PRICE), 60)
        try:
            return await client.complete(request)
        finally:
            await client.close()


@pytest.fixture(scope="session")
def both() -> Iterator[Both]:
    app = FastAPI()
    with serve_app(app) as url:
        served = Both(url)

        @app.post("/{path:path}")
        async def complete(path: str, body: dict[str, Any]) -> dict[str, Any]:
            served.bodies.append(body)
            return CLAUDE_ANSWER if path.endswith("messages") else GPT_ANSWER

        yield served


@pytest.mark.parametrize(
    ("model", "cost_usd", "thinking"),
    [(GPT, 40 + 60 * 0.1 + 30 * 10, "reasoning_effort"), (CLAUDE, 20 + 60 * 0.1 + 20 * 2 + 30 * 10, "thinking")],
)
async def test_tokens_cost_and_thinking_come_through(both: Both, model: str, cost_usd: float, thinking: str) -> None:
    reply = await both.ask(model, Request(ASKED.prompt, 100, 0.8, thinking="low"))

    assert ("Yes.", "stop") == (reply.text, reply.finish)
    assert (100, 30, 60) == (reply.prompt_tokens, reply.completion_tokens, reply.cached_tokens)
    assert cost_usd == pytest.approx(reply.cost_usd)
    assert thinking in both.bodies[-1]


async def test_run_that_ends_closes_nothing_that_another_of_the_process_opens_or_uses(both: Both) -> None:
    first = asyncio.create_task(both.ask("openai/test", place="first"))

    async def follow(model: str, place: str) -> Reply:
        await first
        return await both.ask(model, place=place)

    others = [follow(model, place) for model in ("openai/test", CLAUDE) for place in ("first", "other")]

    assert ["Yes."] * 4 == [reply.text for reply in await asyncio.gather(*others)]


# What many requests have in common is marked for Claude, which keeps only what is marked, and for nobody else.
MARK = {"type": "ephemeral"}
USER = "Length: 10 to 20 words\nClarity: Clear"
ALONE = Prompt(USER, "You write.")
AFTER_TURNS = Prompt(USER, "You write.", (("Subject: a kiosk", '{"text": "It is shut."}'),))


@pytest.mark.parametrize(
    ("prompt", "system", "turns"),
    [(ALONE, MARK, [("user", None)]), (AFTER_TURNS, None, [("user", None), ("assistant", MARK), ("user", None)])],
)
async def test_last_turn_else_the_system_message_is_marked_for_claude_and_nothing_for_others(
    both: Both, prompt: Prompt, system: object, turns: list[tuple[str, object]]
) -> None:
    for model in (CLAUDE, "openai/test"):
        await both.ask(model, Request(prompt, 100, 0.8))
    claude, other = both.bodies[-2:]

    assert [("You write.", system)] == [(part["text"], part.get("cache_control")) for part in claude["system"]]
    assert turns == [
        (message["role"], part.get("cache_control")) for message in claude["messages"] for part in message["content"]
    ]
    assert [{"role": role, "content": text} for role, text in prompt.messages] == other["messages"]
