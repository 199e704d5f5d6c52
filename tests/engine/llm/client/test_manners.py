"""However a provider puts its answer: what can be read is, and what cannot is told in a sentence."""

import json
import logging

import pytest
from fakes.builders import make_cell, make_test_plan
from fakes.manners import MALFORMED, MISCOUNTED
from fakes.provider import COMPLETION_TOKENS, PROMPT_TOKENS, Behaviour, Provider

from engine.asking.cells import make_chat_request
from engine.errors import MalformedAnswerError
from engine.llm.client.litellm_client import LitellmClient
from engine.llm.client.request import Endpoint, Reply


async def ask(provider: Provider, manner: str) -> Reply:
    provider.behaviour = Behaviour(manner=manner)
    client = LitellmClient(Endpoint("openai/test", "openai/test", "", api_base=provider.url, api_key="sk-test"), 60)
    try:
        return await client.complete(make_chat_request(make_test_plan(), make_cell()))
    finally:
        await client.close()


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
    assert said.startswith(f"openai/test at {provider.url} does not tell in a way that can be believed how many tokens")


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
