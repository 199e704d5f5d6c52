"""litellm's requests on the wire, and the replies made from the answers, in each provider's form.

Marks for a cache, room for thoughts; texts and tokens, their cost, and a sentence where they cannot be read.
"""

import asyncio
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import uvicorn
from fakes.builders import make_cell, make_test_plan
from fakes.manners import MALFORMED, MISCOUNTED
from fakes.provider import COMPLETION_TOKENS, PROMPT_TOKENS, Behaviour, Provider, serve_app, serve_provider
from fastapi import FastAPI

from engine.asking.cells import make_chat_request
from engine.definitions.effort import Thinking
from engine.errors import MalformedAnswerError
from engine.llm.client.litellm_client import LitellmClient, import_litellm
from engine.llm.client.prices import Price
from engine.llm.client.request import THINKING_TOKENS, Endpoint, Prompt, Reply, Request

GPT, CLAUDE = "openai/gpt-5-mini", "anthropic/claude-sonnet-4-5"
# USD a token: plain prompt, reply, prompt from the cache, prompt into the cache.
PRICE = Price(1.0, 10.0, 0.1, 2.0)
ASKED = Request(Prompt("Is it?"), 100, 0.8)
CHAT_REQUEST = replace(make_chat_request(make_test_plan(), make_cell()), max_tokens=500)
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


async def send(url: str, model: str, request: Request, price: Price | None = None) -> tuple[bool, Reply]:
    """Whether the client says that the model thinks, and the reply."""
    client = LitellmClient(Endpoint(model, model, model, api_base=url, api_key="sk-test", price=price), 60)
    try:
        return client.endpoint.thinks, await client.complete(request)
    finally:
        await client.close()


@dataclass
class Both:
    """A server that answers like OpenAI and like Anthropic, and stores the requests."""

    url: str
    bodies: list[dict[str, Any]] = field(default_factory=list)

    async def ask(self, model: str, request: Request = ASKED, place: str = "v1") -> Reply:
        return (await send(f"{self.url}/{place}", model, request, PRICE))[1]


@pytest.fixture(scope="session")
def provider() -> Iterator[Provider]:
    with serve_provider() as served:
        yield served


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


def test_idle_connection_is_given_up_before_a_server_closes_it_unseen() -> None:
    assert import_litellm().constants.AIOHTTP_KEEPALIVE_TIMEOUT < uvicorn.Config("app").timeout_keep_alive


async def test_run_that_ends_closes_nothing_that_another_of_the_process_opens_or_uses(both: Both) -> None:
    first = asyncio.create_task(both.ask("openai/test", place="first"))

    async def follow(model: str, place: str) -> Reply:
        await first
        return await both.ask(model, place=place)

    others = [follow(model, place) for model in ("openai/test", CLAUDE) for place in ("first", "other")]

    assert ["Yes."] * 4 == [reply.text for reply in await asyncio.gather(*others)]


# The common part of many requests is marked for Claude, which caches only marked parts, and for no other model.
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


# A model that thinks by default gets the minimum effort; a model without thoughts gets the usual request.
@pytest.mark.parametrize(
    ("model", "thinking", "effort", "temperature"),
    [
        ("openai/gpt-5-mini", "medium", "medium", None),
        ("openai/gpt-5-mini", "none", "minimal", None),
        ("openai/gpt-5.1", "none", "none", 0.8),
        ("openai/o3-mini", "none", None, None),
    ],
)
async def test_thinking_is_the_reasoning_effort_with_room_for_the_thoughts(
    provider: Provider, model: str, thinking: Thinking, effort: str | None, temperature: float | None
) -> None:
    provider.behaviour = Behaviour()
    thinks, _ = await send(provider.url, model, replace(CHAT_REQUEST, thinking=thinking))
    body = provider.bodies[-1]

    assert thinks
    assert (effort, temperature) == (body.get("reasoning_effort"), body.get("temperature"))
    assert 500 + THINKING_TOKENS[thinking] == body["max_completion_tokens"]
    assert "response_format" in body


async def test_thinking_is_left_out_where_the_model_has_none(provider: Provider) -> None:
    provider.behaviour = Behaviour()
    thinks, _ = await send(provider.url, "openai/gpt-5-chat-latest", replace(CHAT_REQUEST, thinking="high"))
    body = provider.bodies[-1]

    assert not thinks
    assert (500, 0.8) == (body["max_tokens"], body["temperature"])
    assert "reasoning_effort" not in body


async def ask(provider: Provider, manner: str) -> Reply:
    provider.behaviour = Behaviour(manner=manner)
    return (await send(provider.url, "openai/test", CHAT_REQUEST))[1]


@pytest.mark.parametrize(
    ("manner", "finish"),
    [
        ("tool call", "tool_calls"),
        ("reasoning_content", "stop"),
        ("runs on", "length"),
        ("usage as texts", "stop"),
        ("usage as floats", "stop"),
    ],
)
async def test_text_and_tokens_are_read_from_wherever_they_stand(provider: Provider, manner: str, finish: str) -> None:
    reply = await ask(provider, manner)

    assert ["text"] == list(json.loads(reply.text))
    assert (finish, PROMPT_TOKENS, COMPLETION_TOKENS) == (reply.finish, reply.prompt_tokens, reply.completion_tokens)


@pytest.mark.parametrize("manner", MISCOUNTED)
async def test_counts_that_cannot_be_believed_are_said_and_none(
    provider: Provider, manner: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "exemplars.calls"):
        reply = await ask(provider, manner)

    assert (0, 0) == (reply.prompt_tokens, reply.completion_tokens)
    [said] = [record.getMessage() for record in caplog.records if record.name == "exemplars.calls"]
    assert said.startswith(f"openai/test at {provider.url} does not report plausible token counts")


@pytest.mark.parametrize("manner", MALFORMED)
async def test_answer_that_cannot_be_read_is_an_error_that_says_what_it_is_like(
    provider: Provider, manner: str
) -> None:
    with pytest.raises(MalformedAnswerError) as caught:
        await ask(provider, manner)
    said = str(caught.value)

    assert caught.value.maybe_billed
    assert said.startswith(f"openai/test at {provider.url} answers, in a form that cannot be read: it ")
    assert MALFORMED[manner][1] in said
    assert not any(word in said for word in ("Traceback", "LiteLLM", "network", "\n"))
