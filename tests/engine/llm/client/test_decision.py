"""A decision is requested in its provider's form and becomes a vote; tested only by a stub of both forms."""

import asyncio
import json
from typing import Any

import pytest
from fakes.ports import find_free_port
from fakes.provider import PROBABILITY, serve_answers, wrap_decision
from fastapi import Request as HttpRequest
from fastapi import Response
from fastapi.responses import JSONResponse

from engine.errors import (
    ContentRefusedError,
    ContextTooLongError,
    CredentialsError,
    MalformedAnswerError,
    ModelNotFoundError,
    ProviderError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    QuotaSpentError,
    RateLimitedError,
    RequestRefusedError,
)
from engine.llm.client.litellm_client import LitellmClient
from engine.llm.client.prices import Price
from engine.llm.client.request import REFUSED, Endpoint, Prompt, Reply, Request

OPENAI, SYSTEM_ONE = "openai/our-own", "typesafe/jev-latest"
CHOICES = [{"value": "Clear", "description": "easy"}, {"value": "neither"}]
REQUEST = Request(
    Prompt("A text."),
    112,
    0.0,
    questions=(
        {"type": "choice", "name": "answer", "instructions": "Which?", "choices": CHOICES},
        {"type": "predicate", "name": "sense", "instructions": "Sense?"},
    ),
)
SENT = {
    "/v1/decisions": {"model": "our-own", "input": "A text.", "questions": [*REQUEST.questions]},
    "/v1/systemone": {
        "model": "jev-latest",
        "state": "A text.",
        "questions": {
            "answer": {"type": "choice", "instructions": "Which?", "criteria": {"Clear": "easy", "neither": None}},
            "sense": {"type": "noul", "instructions": "Sense?"},
        },
    },
}
PRICE = Price(0.01, 1.0, cached_input_usd=0.001, call_usd=5.0)
# A field that is not told.
AWAY: Any = object()


def answer(model: str, sense: float = 0.25, refused: bool = False, tokens: int = 100, **fields: Any) -> Any:
    """Return a body in the model's form, with the given fields of the choice."""
    form = {"model": "jev-1", "state" if model == SYSTEM_ONE else "input": ""}
    body = wrap_decision(form, {"answer": "Clear", "sense": "no"})
    answers, (choice, other) = body["answers"], ("answer", "sense") if model == SYSTEM_ONE else (0, 1)
    answers[choice] = {name: value for name, value in (answers[choice] | fields).items() if value is not AWAY}
    answers[other]["noul" if model == SYSTEM_ONE else "probability"] = sense
    if fields.get("probabilities") == {} and model == OPENAI:
        answers[choice]["probabilities"] = []
    if refused:
        answers[choice] = answers[other]
    body["usage"] = {"input_tokens": tokens, "output_tokens": 0, "total_tokens": tokens}
    return body


async def ask(model: str, body: Any, status: int = 200, price: Price | None = PRICE) -> tuple[Reply, list[Any]]:
    """Return the reply, and the request with its address."""
    sent = []

    async def respond(request: HttpRequest) -> Response:
        sent.append((request.url.path, await request.json()))
        return JSONResponse(body, status_code=status, headers={"Retry-After": "7"})

    with serve_answers(respond) as url:
        endpoint = Endpoint(model, model, model, api_base=f"{url}/v1", api_key="k", price=price, decides=True)
        client = LitellmClient(endpoint, 5)
        try:
            return await client.complete(REQUEST), sent
        finally:
            await client.close()


@pytest.mark.parametrize("model", [OPENAI, SYSTEM_ONE])
@pytest.mark.parametrize(
    ("fields", "said", "finish", "cost_usd"),
    [
        ({}, {"answer": "Clear", "probability": PROBABILITY, "sense": "no"}, "stop", 6.0),
        ({"sense": 0.5}, {"answer": "Clear", "probability": PROBABILITY, "sense": "yes"}, "stop", 6.0),
        ({"probabilities": {}, "sense": 7}, {"answer": "Clear"}, "stop", 6.0),
        ({"choice": "Lucid"}, {"answer": "Lucid", "sense": "no"}, "stop", 6.0),
        ({"refused": True}, {"sense": "no"}, REFUSED, 6.0),
        ({"tokens": 0}, {"answer": "Clear", "probability": PROBABILITY, "sense": "no"}, "stop", 5.0),
    ],
)
async def test_answers_are_read_as_a_vote_in_both_forms(
    model: str, fields: dict[str, Any], said: dict[str, object], finish: str, cost_usd: float
) -> None:
    reply, sent = await ask(model, answer(model, **fields))

    assert (said, finish) == (json.loads(reply.text), reply.finish)
    assert cost_usd == pytest.approx(reply.cost_usd)
    assert [("/v1/decisions" if model == OPENAI else "/v1/systemone")] == [path for path, _ in sent]
    assert [SENT[path] for path, _ in sent] == [content for _, content in sent]


@pytest.mark.parametrize("model", [OPENAI, SYSTEM_ONE])
@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (200, {"confidence": AWAY}, MalformedAnswerError),
        (200, {"probabilities": AWAY}, MalformedAnswerError),
        (200, "Welcome", MalformedAnswerError),
        (400, "bad_request", RequestRefusedError),
        (400, "content_policy_violation", ContentRefusedError),
        (400, "context_length_exceeded", ContextTooLongError),
        (401, "invalid_api_key", CredentialsError),
        (404, "model_not_found", ModelNotFoundError),
        (429, "insufficient_quota", QuotaSpentError),
        (429, "rate_limit_exceeded", RateLimitedError),
        (409, "oops", ProviderUnavailableError),
        (500, "oops", ProviderUnavailableError),
    ],
)
async def test_errors_are_told_apart_in_both_forms(
    model: str, status: int, body: Any, error: type[ProviderError]
) -> None:
    if isinstance(body, dict):
        body = answer(model, **body)
    elif status != 200:
        body = {"error": {"message": "It is so.", "type": "invalid_request_error", "code": body}}
    with pytest.raises(error) as raised:
        await ask(model, body, status)

    assert error is type(raised.value)
    assert (status == 200) == raised.value.maybe_billed
    if isinstance(raised.value, RateLimitedError):
        assert 7 == raised.value.retry_after_seconds


# litellm raises its timeout from itself.
@pytest.mark.parametrize("model", [OPENAI, SYSTEM_ONE])
async def test_answer_that_is_late_may_be_billed_and_one_of_nobody_is_not(model: str) -> None:
    async def respond(_: HttpRequest) -> Response:
        await asyncio.sleep(1)
        return Response()

    with serve_answers(respond) as url:
        for base, is_late in ((url, True), (f"http://127.0.0.1:{find_free_port()}", False)):
            client = LitellmClient(Endpoint(model, model, model, api_base=base, api_key="k", decides=True), 0.2)
            with pytest.raises(ProviderTimeoutError if is_late else ProviderUnavailableError) as raised:
                await client.complete(REQUEST)
            await client.close()

            assert (is_late, not is_late) == (raised.value.maybe_billed, raised.value.no_connection)


def test_provider_that_decides_nothing_is_named_before_anything_is_asked() -> None:
    with pytest.raises(ModelNotFoundError, match=r"that litellm asks for decisions\..* set EXEMPLARS_JUDGE_MODEL"):
        LitellmClient(Endpoint("mistral/x", "mistral/x", "", settings="EXEMPLARS_JUDGE", decides=True), 5)
