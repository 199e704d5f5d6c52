"""What many requests have in common is marked for Claude, which keeps only what is marked, and for nobody else."""

from typing import Any

import pytest
from fakes.provider import serve_app, serve_provider
from fastapi import FastAPI

from engine.llm.client import LitellmClient
from engine.llm.request import Endpoint, Prompt, Request

MARK = {"type": "ephemeral"}
USER = "Length: 10 to 20 words\nClarity: Clear"
ALONE = Prompt(USER, "You write.")
AFTER_TURNS = Prompt(USER, "You write.", (("Subject: a kiosk", '{"text": "It is shut."}'),))


async def send(model: str, api_base: str, prompt: Prompt) -> None:
    client = LitellmClient(Endpoint(model, model, model, api_base=api_base, api_key="sk-test"), 30)
    await client.complete(Request(prompt, 100, 0.8))
    await client.close()


async def send_to_claude(prompt: Prompt) -> dict[str, Any]:
    app, bodies = FastAPI(), list[dict[str, Any]]()

    @app.post("/v1/messages")
    async def answer(body: dict[str, Any]) -> dict[str, Any]:
        bodies.append(body)
        return {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": body["model"],
            "content": [{"type": "text", "text": "Yes."}],
            "stop_reason": "end_turn",
            "usage": {"input_tokens": 9, "output_tokens": 2},
        }

    with serve_app(app) as url:
        await send("anthropic/claude-sonnet-4-5", url, prompt)
    return bodies[0]


async def test_last_of_the_turns_is_marked() -> None:
    body = await send_to_claude(AFTER_TURNS)
    marks = [part.get("cache_control") for message in body["messages"] for part in message["content"]]

    assert ["user", "assistant", "user"] == [message["role"] for message in body["messages"]]
    assert [None, MARK, None] == marks
    assert [None] == [part.get("cache_control") for part in body["system"]]


async def test_system_message_is_marked_where_there_are_no_turns() -> None:
    body = await send_to_claude(ALONE)

    assert [("You write.", MARK)] == [(part["text"], part.get("cache_control")) for part in body["system"]]


@pytest.mark.parametrize("prompt", [ALONE, AFTER_TURNS])
async def test_others_get_the_messages_as_they_are(prompt: Prompt) -> None:
    with serve_provider() as provider:
        await send("openai/test", provider.url, prompt)
        [body] = provider.bodies

    assert [{"role": role, "content": text} for role, text in prompt.messages] == body["messages"]
