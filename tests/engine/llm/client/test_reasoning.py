"""Thinking reaches a model that has it, in its provider's words and with room for it, and is left out elsewhere."""

from dataclasses import replace
from typing import Any

import pytest
from fakes.builders import make_cell, make_test_plan
from fakes.provider import Behaviour, Provider

from engine.asking.cells import make_chat_request
from engine.definitions.effort import Thinking
from engine.llm.client.litellm_client import LitellmClient
from engine.llm.client.request import THINKING_TOKENS, Endpoint

REQUEST = replace(make_chat_request(make_test_plan(), make_cell()), max_tokens=500)


async def send(provider: Provider, model: str, thinking: Thinking) -> tuple[bool, dict[str, Any]]:
    provider.behaviour = Behaviour()
    client = LitellmClient(Endpoint(model, model, model, api_base=provider.url, api_key="sk-test"), 60)
    await client.complete(replace(REQUEST, thinking=thinking))
    return client.endpoint.thinks, provider.bodies[-1]


# Of one that thinks by itself the least is asked; what has no thoughts is asked as ever.
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
    thinks, body = await send(provider, model, thinking)

    assert thinks
    assert (effort, temperature) == (body.get("reasoning_effort"), body.get("temperature"))
    assert 500 + THINKING_TOKENS[thinking] == body["max_completion_tokens"]
    assert "response_format" in body


async def test_thinking_is_left_out_where_the_model_has_none(provider: Provider) -> None:
    thinks, body = await send(provider, "openai/gpt-5-chat-latest", "high")

    assert not thinks
    assert (500, 0.8) == (body["max_tokens"], body["temperature"])
    assert "reasoning_effort" not in body
