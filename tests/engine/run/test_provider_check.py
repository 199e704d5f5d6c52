"""The check of a provider against eight kinds of servers: what is found of each, and what to do is said."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from fakes.builders import make_level
from fakes.ports import find_free_port
from fakes.provider import complete, serve_answers
from fastapi import Request, Response
from fastapi.responses import HTMLResponse, JSONResponse

from engine.run.provider_check import Checked, check_models
from engine.settings import Settings

MODEL = "openai/gpt-4.1-mini"
SENTENCE = "Wipe the chain and oil it every other week, and pump the tyres before a ride."
Answer = Callable[[dict[str, Any]], Awaitable[Response]]


def refuse(status: int, message: str) -> Response:
    return JSONResponse({"error": {"message": message, "type": "invalid_request_error"}}, status_code=status)


async def answer_well(body: dict[str, Any]) -> Response:
    return complete(body, json.dumps({"text": SENTENCE}))


async def refuse_key(_: dict[str, Any]) -> Response:
    return refuse(401, "Incorrect API key provided: sk-…test.")


async def know_no_model(_: dict[str, Any]) -> Response:
    return refuse(404, "The model does not exist or you do not have access to it.")


async def take_no_schema(body: dict[str, Any]) -> Response:
    if "response_format" in body:
        return refuse(400, "response_format is not supported")
    return complete(body, f'Here you are: {{"text": "{SENTENCE}"}}')


async def take_no_log_probabilities(body: dict[str, Any]) -> Response:
    return refuse(400, "logprobs is not supported") if "logprobs" in body else await answer_well(body)


async def answer_late(body: dict[str, Any]) -> Response:
    await asyncio.sleep(3)
    return await answer_well(body)


async def show_a_page(_: dict[str, Any]) -> Response:
    return HTMLResponse("<!doctype html><title>Welcome</title>")


async def rename(body: dict[str, Any]) -> Response:
    return complete(body, json.dumps({"text": SENTENCE}), model="llama-3.1-8b-instruct")


async def answer_prose(body: dict[str, Any]) -> Response:
    return complete(body, SENTENCE)


async def check(settings: Settings, judge_votes: int = 0) -> list[Checked]:
    level = make_level(synth_model=MODEL, judge_model="openai/gpt-4.1", judge_votes=judge_votes)
    return [checked async for checked in check_models(settings, level)]


def make_settings(url: str, **more: Any) -> Settings:
    return Settings(synth_api_base=url, synth_api_key="test", call_timeout_seconds=1, **more)


@pytest.mark.parametrize(
    ("answer", "schema", "odds", "says"),
    [
        (answer_well, "followed", True, ""),
        (take_no_schema, "in words", False, "It follows no schema"),
        (take_no_log_probabilities, "followed", False, ""),
        (rename, "followed", True, "says that llama-3.1-8b-instruct wrote it"),
        (answer_prose, "not followed", False, "a run would reject all its texts as unreadable"),
    ],
)
async def test_model_that_answers(answer: Answer, schema: str, odds: bool, says: str) -> None:
    async def respond(request: Request) -> Response:
        return await answer(await request.json())

    with serve_answers(respond) as url:
        [checked] = await check(make_settings(url))
    expected = (schema != "not followed", "synth model", schema, odds, (0.4, 1.6))

    assert expected == (
        checked.works,
        checked.role,
        checked.schema,
        checked.log_probabilities,
        checked.usd_per_million and tuple(round(price, 6) for price in checked.usd_per_million),
    )
    assert says in " ".join(checked.says)
    assert bool(says) == bool(checked.says)
    assert checked.tokens_per_second


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (refuse_key, "EXEMPLARS_SYNTH_API_KEY"),
        (know_no_model, "EXEMPLARS_SYNTH_MODEL"),
        (answer_late, "EXEMPLARS_CALL_TIMEOUT_SECONDS"),
        (show_a_page, "EXEMPLARS_SYNTH_API_BASE"),
    ],
)
async def test_model_that_does_not_answer(answer: Answer, says: str) -> None:
    async def respond(request: Request) -> Response:
        return await answer(await request.json())

    with serve_answers(respond) as url:
        [checked] = await check(make_settings(url))

    assert (False, None) == (checked.works, checked.answered_by)
    assert says in checked.says[0]


async def test_server_that_is_away_and_a_judge_that_is_asked_too() -> None:
    async def respond(request: Request) -> Response:
        return await answer_well(await request.json())

    away = f"http://127.0.0.1:{find_free_port()}/v1"
    with serve_answers(respond) as url:
        settings = make_settings(away, judge_api_base=url, judge_api_key="test")
        synth, judge = await check(settings, judge_votes=1)

    assert (False, True) == (synth.works, judge.works)
    assert "does not answer: Connection error. Check EXEMPLARS_SYNTH_API_BASE" in synth.says[0]
    assert ("synth model", "judge") == (synth.role, judge.role)


@pytest.mark.parametrize(
    ("choice", "works", "says"),
    [("a bicycle", True, ""), ("a boat", False, "It chooses none of the answers that it is given")],
)
async def test_decision_model_is_asked_to_decide(choice: str, works: bool, says: str) -> None:
    async def respond(request: Request) -> Response:
        body = await request.json()
        if "state" not in body:
            return await answer_well(body)
        chosen = {"type": "choice", "choice": choice, "confidence": 1.0, "probabilities": {choice: 1.0}}
        return JSONResponse({"mode": "fast", "answers": {"answer": chosen}})

    with serve_answers(respond) as url:
        own = {"judge_model": "parallel_ai/decision", "judge_api_base": url, "judge_api_key": "test"}
        level = make_level(synth_model=MODEL, judge_model="parallel_ai/decision", judge_votes=1)
        _, judge = [checked async for checked in check_models(make_settings(url, **own), level)]

    assert (works, "decision", (0.0, 0.0), 0.001) == (
        judge.works,
        judge.answered_by,
        judge.usd_per_million,
        judge.usd_per_call,
    )
    assert says in " ".join(judge.says)
    assert works == (not judge.says)


async def test_model_without_a_price_does_not_work_where_a_limit_has_to_be_kept() -> None:
    async def respond(request: Request) -> Response:
        return await answer_well(await request.json())

    with serve_answers(respond) as url:
        level = make_level(synth_model="openai/our-own", judge_votes=0)
        results = [
            [checked async for checked in check_models(make_settings(url, max_cost_usd=limit), level)]
            for limit in (None, 1.0)
        ]

    assert [True, False] == [checked.works for [checked] in results]
    assert "EXEMPLARS_SYNTH_PRICE" in results[0][0].says[1]
    assert "cannot be kept" in results[1][0].says[-1]
