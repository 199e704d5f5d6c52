"""Batch providers against a server of batches: their requests, and their results for each course of a batch."""

import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from fakes.batches import LINE_SEPARATOR, BatchServer, Manner, Outcome, serve_batches
from fakes.builders import make_cell, make_test_plan
from fakes.manners import EVERY, MALFORMED
from fakes.ports import find_free_port
from fakes.provider import Behaviour, wrap

from engine.asking.cells import make_chat_request
from engine.definitions.effort import Thinking
from engine.errors import (
    CredentialsError,
    InputError,
    MalformedAnswerError,
    ModelNotFoundError,
    ProviderError,
    ProviderUnavailableError,
    RateLimitedError,
    RequestRefusedError,
)
from engine.llm.batches.account import BatchAccount, find_account
from engine.llm.batches.provider import Answer, BatchProvider, Line
from engine.llm.batches.providers import open_provider
from engine.llm.client.batch_client import BETA, BatchClient
from engine.llm.client.litellm_client import LitellmClient
from engine.llm.client.prices import Price, find_price
from engine.llm.client.request import REFUSED, Endpoint, Request

SECRET = "sk-of-the-wires-0123456789abcdef"
GPT, AZURE, CLAUDE = "openai/gpt-4.1-mini", "azure/gpt-4.1-mini", "anthropic/claude-sonnet-4-5"
EACH = pytest.mark.parametrize("model", [GPT, AZURE, CLAUDE])
CLAUDE_USAGE = {"input_tokens": 4, "output_tokens": 8}
CHAT = make_chat_request(make_test_plan(), make_cell())


@pytest.fixture
def server() -> Iterator[BatchServer]:
    with serve_batches() as served:
        yield served


def place_of(server: BatchServer, model: str = GPT) -> Endpoint:
    base = f"{server.url}/v1" if model.startswith("openai/") else server.url
    return Endpoint(model, model, model, api_base=base, api_key=SECRET, price=find_price(model))


def ask(number: int) -> Request:
    """One of many requests."""
    return replace(CHAT, prompt=replace(CHAT.prompt, system=f"{CHAT.prompt.system} {number}"))


async def write_lines(server: BatchServer, model: str = GPT, count: int = 4) -> list[Line]:
    client = BatchClient(place_of(server, model), 60)
    bodies = [await client.write_body(ask(number)) for number in range(count)]
    return [Line(hashlib.sha256(str(number).encode()).hexdigest(), body) for number, body in enumerate(bodies)]


@asynccontextmanager
async def opened(server: BatchServer, model: str = GPT, key: str = SECRET) -> AsyncIterator[BatchProvider]:
    provider = open_provider(find_account(replace(place_of(server, model), api_key=key)), key)
    try:
        yield provider
    finally:
        await provider.close()


async def submit(provider: BatchProvider, lines: list[Line], key: str = "key") -> str:
    return await provider.create(key, await provider.upload(key, lines), lines)


async def finish(server: BatchServer, model: str, manner: Manner, count: int = 12) -> list[Answer]:
    """The answers of a batch that has ended."""
    server.manner = manner
    async with opened(server, model) as provider:
        number = await submit(provider, await write_lines(server, model, count))
        server.advance(manner.seconds)
        assert "ended" == (await provider.look(number)).state
        return [answer async for answer in provider.read(number)]


@pytest.mark.parametrize(
    ("model", "thinking"),
    [
        (GPT, "none"),
        ("openai/gpt-5-mini", "low"),
        ("openai/somebodys-own", "none"),
        (AZURE, "none"),
        ("azure/o3-mini", "low"),
        (CLAUDE, "none"),
        (CLAUDE, "low"),
        ("anthropic/claude-3-5-haiku-20241022", "none"),
    ],
)
async def test_line_is_what_a_live_call_sends_and_its_answer_is_read_as_that_of_one(
    server: BatchServer, model: str, thinking: Thinking
) -> None:
    endpoint, request = replace(place_of(server, model), price=None), replace(CHAT, thinking=thinking)
    live, client = LitellmClient(endpoint, 60), BatchClient(endpoint, 60)
    expected = await live.complete(request)
    await live.close()
    body = await client.write_body(request)
    sent = server.bodies[-1] if server.bodies else server.provider.bodies[-1]

    assert sent == {name: part for name, part in body.items() if name != BETA}
    assert (BETA in body) == ("output_format" in body)
    async with opened(server, model) as provider:
        number = await submit(provider, [Line("a" * 64, body)])
        server.advance(60)
        (answer,) = [answer async for answer in provider.read(number)]
    assert answer.reply is not None
    assert expected == replace(answer.reply, cost_usd=None)


@EACH
async def test_batch_works_ends_and_is_billed_at_its_price(server: BatchServer, model: str) -> None:
    async with opened(server, model) as provider:
        lines = await write_lines(server, model)
        number = await submit(provider, lines)
        states = [(await provider.look(number)).state]
        server.advance(60)
        ended = await provider.look(number)
        answers = [answer async for answer in provider.read(number)]

    assert ["works", "ended", "4 of 4 answered"] == [*states, ended.state, ended.message]
    assert Counter(line.custom_id for line in lines) == server.billed == Counter(each.custom_id for each in answers)
    price = find_price(model, batched=True)
    assert price is not None
    assert {price.cost(400, 80)} == {answer.reply.cost_usd for answer in answers if answer.reply}


@EACH
@pytest.mark.parametrize(
    ("outcome", "kind", "maybe"),
    [
        ("lost", ProviderUnavailableError, True),
        ("dropped", ProviderUnavailableError, True),
        ("cut", ProviderUnavailableError, True),
        (500, ProviderUnavailableError, True),
        (503, ProviderUnavailableError, True),
        (429, RateLimitedError, False),
        (400, RequestRefusedError, False),
        (401, CredentialsError, False),
        (404, ModelNotFoundError, False),
    ],
)
async def test_create_that_fails_says_whether_it_may_be_accepted_and_is_never_sent_twice(
    server: BatchServer, model: str, outcome: Outcome, kind: type[ProviderError], maybe: bool
) -> None:
    async with opened(server, model) as provider:
        server.fail("create", outcome)
        with pytest.raises(kind) as raised:
            await submit(provider, await write_lines(server, model))

    assert maybe is raised.value.maybe_billed
    assert [1, int(outcome in ("lost", "cut"))] == [server.asked["create"], server.accepted.total()]


@EACH
async def test_server_that_is_not_there_has_accepted_nothing(server: BatchServer, model: str) -> None:
    endpoint = replace(place_of(server, model), api_base=f"http://127.0.0.1:{find_free_port()}/v1")
    provider = open_provider(find_account(endpoint), SECRET)
    with pytest.raises(ProviderUnavailableError) as raised:
        await provider.create("key", "file", await write_lines(server, model))
    await provider.close()

    assert not raised.value.maybe_billed


@EACH
async def test_provider_without_a_list_is_refused_before_anything_is_created(server: BatchServer, model: str) -> None:
    async with opened(server, model) as provider:
        server.fail("list", 404)
        with pytest.raises(RequestRefusedError, match="has no list of its batches") as raised:
            await submit(provider, await write_lines(server, model))

    assert (False, 0) == (raised.value.maybe_billed, server.asked["create"])


@pytest.mark.parametrize("model", [GPT, AZURE])
async def test_upload_that_fails_says_so(server: BatchServer, model: str) -> None:
    async with opened(server, model) as provider:
        server.fail("upload", 503, "dropped")
        for _ in range(2):
            with pytest.raises(ProviderUnavailableError):
                await provider.upload("key", await write_lines(server, model))
        assert await provider.upload("key", await write_lines(server, model))
    assert ["key.jsonl"] == [name for _, name, _ in server.files.values()]


@pytest.mark.parametrize("model", [GPT, AZURE])
async def test_lost_create_is_found_by_its_key_on_whichever_page_once_the_list_shows_it(
    server: BatchServer, model: str
) -> None:
    server.manner = Manner(list_lag=300)
    async with opened(server, model) as provider:
        lines = await write_lines(server, model)
        server.fail("create", "lost")
        with pytest.raises(ProviderUnavailableError):
            await submit(provider, lines)
        (number,) = server.batches
        for other in range(250):
            server.batches[f"o{other}"] = replace(server.batches[number], id=f"o{other}", told={}, manner=Manner())

        assert await provider.find("key", server.clock(), [], []) is None
        server.advance(300)
        assert number == await provider.find("key", server.clock(), [], [])
        assert await provider.find("key", server.clock(), [], [number]) is None
        server.fail("list", 500)
        with pytest.raises(ProviderUnavailableError):
            await provider.find("key", server.clock(), [], [])


async def test_lost_create_of_claude_is_found_by_time_and_count_and_known_by_its_results(server: BatchServer) -> None:
    async with opened(server, CLAUDE) as provider:
        lines = await write_lines(server, CLAUDE)
        ids = [line.custom_id for line in lines]
        tried_at = server.clock()
        server.fail("create", "lost")
        with pytest.raises(ProviderUnavailableError):
            await submit(provider, lines)
        (number,) = server.batches
        for other, (created, count) in {"late": (9999, 4), "fewer": (0, 3), "others": (0, 4)}.items():
            told = {f"{other}{line}": lines[0].body for line in range(count)}
            server.batches[other] = replace(server.batches[number], id=other, lines=told, created=tried_at + created)

        with pytest.raises(ProviderUnavailableError, match="can be compared when it has ended"):
            await provider.find("key", tried_at, ids, [])
        server.advance(60)
        assert number == await provider.find("key", tried_at, ids, [])
        assert await provider.find("key", tried_at, ids, [number]) is None
        assert await provider.find("key", tried_at - 99999, ids, []) is None


@EACH
@pytest.mark.parametrize(
    ("manner", "replies", "others"),
    [
        (Manner(is_shuffled=True, empty_ids=True), 12, 0),
        (Manner(failed=0.4, status=400), 7, 5),
        (Manner(failed=0.4, status=429, is_shuffled=True), 7, 0),
        (Manner(failed=1.0, status=500), 0, 0),
        (Manner(failed=1.0, status=404, empty_ids=True), 0, 12),
        (Manner(ends="expired"), 7, 0),
        (Manner(ends="expired", answered=0), 0, 0),
        (Manner(doubled=1.0), 24, 0),
        (Manner(missing=0.4), 8, 0),
        (Manner(separator=True), 12, 0),
        (Manner(few_counts=True), 12, 0),
    ],
)
async def test_each_line_ends_in_a_reply_or_for_good_or_nothing_is_said_of_it(
    server: BatchServer, model: str, manner: Manner, replies: int, others: int
) -> None:
    answers = await finish(server, model, manner)
    told = [answer.reply for answer in answers if answer.reply]

    assert replies == len(told)
    assert others == sum(answer.reply is None for answer in answers)
    assert manner.separator == all(LINE_SEPARATOR in reply.text for reply in told) if told else True
    assert len({answer.custom_id for answer in answers if answer.reply}) == server.billed.total()


@EACH
async def test_refused_prompt_is_a_reply_where_it_is_one_live_and_else_does_not_pass(model: str) -> None:
    with serve_batches(Behaviour(filtered=1.0)) as server:
        answers = await finish(server, model, Manner())

    finishes = [answer.reply.finish if answer.reply else None for answer in answers]
    assert set(finishes) <= {REFUSED, None}
    assert model != CLAUDE or None not in finishes
    assert 12 == len(answers)


@EACH
async def test_cancelled_batch_gives_what_was_answered_until_then(server: BatchServer, model: str) -> None:
    async with opened(server, model) as provider:
        number = await submit(provider, await write_lines(server, model, 12))
        await provider.cancel(number)
        state = (await provider.look(number)).state
        answers = [answer async for answer in provider.read(number)]
        with pytest.raises(ProviderError):
            await provider.cancel(number)

    assert ("ended", 7, 7) == (state, len(answers), server.billed.total())


@pytest.mark.parametrize("few_counts", [True, False])
async def test_batch_that_is_complete_has_nothing_to_read_until_its_file_is_there(
    server: BatchServer, few_counts: bool
) -> None:
    server.manner = Manner(late_file=120, empty_ids=True, few_counts=few_counts)
    async with opened(server) as provider:
        number = await submit(provider, await write_lines(server))
        server.advance(60)
        early, answers = await provider.look(number), [answer async for answer in provider.read(number)]
        server.advance(120)
        assert "ended" == (await provider.look(number)).state

    answered = 0 if few_counts else 4
    assert ("no file", f"{answered} of 4 answered, but there is no file of answers yet") == (early.state, early.message)
    assert [] == answers


async def test_batch_that_fails_in_validation_is_refused_with_the_providers_words(server: BatchServer) -> None:
    server.manner = Manner(ends="failed")
    async with opened(server) as provider:
        number = await submit(provider, await write_lines(server))
        server.advance(60)
        batch = await provider.look(number)

    assert ("refused", "Validation of the file failed.") == (batch.state, batch.message)


async def test_file_that_azure_still_looks_at_is_waited_for(server: BatchServer) -> None:
    server.manner = Manner(pending_file=True)
    async with opened(server, AZURE) as provider:
        await submit(provider, await write_lines(server, AZURE))

    assert 1 == server.asked["file"]


@EACH
async def test_answers_are_given_whole_or_not_at_all(server: BatchServer, model: str) -> None:
    async with opened(server, model) as provider:
        number = await submit(provider, await write_lines(server, model))
        server.advance(60)
        server.fail("content", "cut", 500)
        for _ in range(2):
            with pytest.raises(ProviderUnavailableError):
                await anext(provider.read(number))
        assert 4 == len([answer async for answer in provider.read(number)])


async def test_wire_that_closes_leaves_the_connections_of_live_calls(server: BatchServer) -> None:
    live, writer = LitellmClient(place_of(server), 60), BatchClient(place_of(server), 60)
    await live.complete(CHAT)
    await writer.write_body(CHAT)
    async with opened(server):
        await writer.close()

    assert 1 == server.provider.count_connections()
    await live.close()


@EACH
async def test_batch_of_another_key_is_not_there_and_its_place_is_not_opened(server: BatchServer, model: str) -> None:
    async with opened(server, model) as provider:
        number = await submit(provider, await write_lines(server, model))
    async with opened(server, model, "sk-another-0123456789abcdef") as provider:
        with pytest.raises(ModelNotFoundError, match="does not have this batch"):
            await provider.look(number)
        assert await provider.find("key", server.clock(), ["a"], []) is None
    with pytest.raises(CredentialsError, match="was called with another API key"):
        open_provider(find_account(place_of(server, model)), "sk-another-0123456789abcdef")


@EACH
async def test_no_message_and_no_reply_has_a_secret(server: BatchServer, model: str) -> None:
    said = f"Incorrect key {SECRET} in Bearer {SECRET}"
    async with opened(server, model) as provider:
        number = await submit(provider, await write_lines(server, model))
        server.advance(60)
        server.settle()
        body = wrap(model, said, "stop", 4, 8)
        if model == CLAUDE:
            body |= {"content": [{"type": "text", "text": said}], "stop_reason": "end_turn", "usage": CLAUDE_USAGE}
        error = {"type": "error", "error": {"message": said, "type": "invalid_request_error"}}
        answers = server.batches[number].answers
        assert answers is not None
        first, second, *_ = answers
        answers |= {first: (200, body), second: (400, error)}
        seen = str([answer async for answer in provider.read(number)])
        server.words = said
        server.fail("look", 401)
        with pytest.raises(CredentialsError) as raised:
            await provider.look(number)

    # litellm has a mark of its own.
    told = (seen + str(raised.value)).replace("[redacted]", "REDACTED")
    assert 2 == told.count("Incorrect key REDACTED in ")
    assert SECRET not in told
    assert raised.value.__cause__ is raised.value.__context__ is None


@pytest.mark.parametrize("manner", EVERY)
async def test_answers_body_is_read_however_a_server_puts_it(server: BatchServer, manner: str) -> None:
    client = BatchClient(place_of(server), 60)
    put = EVERY[manner](wrap("test", '{"text": "A whole text."}', "stop", 400, 80))
    if manner not in MALFORMED:
        assert isinstance(put, dict)
        assert "A whole text" in client.read_body(put).text
    elif isinstance(put, dict):
        with pytest.raises(MalformedAnswerError):
            client.read_body(put)


@pytest.mark.parametrize(
    ("endpoint", "why"),
    [
        *(
            (Endpoint(f"{provider}/m", f"{provider}/m", ""), "to OpenAI, to Azure and to Anthropic")
            for provider in ("xai", "gemini", "mistral", "vertex_ai", "bedrock", "openrouter")
        ),
        (Endpoint("embedded", "embedded", ""), "a model on this machine has no batches"),
        (Endpoint(GPT, GPT, "", decides=True), "asked for decisions"),
        (Endpoint(GPT, GPT, "", style="plain"), "continues a document"),
        (Endpoint("openai/gpt-5-pro", "openai/gpt-5-pro", ""), "Responses API"),
        (Endpoint(GPT, GPT, "", api_base="https://me:secret-word@gate/v1"), "set EXEMPLARS_SYNTH_API_KEY instead"),
    ],
)
def test_model_without_batches_is_refused_in_a_sentence(endpoint: Endpoint, why: str) -> None:
    with pytest.raises(InputError, match=why) as raised:
        find_account(endpoint)

    assert str(raised.value).startswith(f"{endpoint.name} takes no batches: ")
    assert "secret-word" not in str(raised.value)


def test_place_has_the_listed_price_of_a_batch_unless_a_setting_says_another(monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint = Endpoint(GPT, GPT, "", price=find_price(GPT))
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    place = find_account(endpoint)

    assert Price(2e-7, 8e-7, 1e-7) == place.price
    assert Price(1.0, 1.0) == find_account(replace(endpoint, price=Price(1.0, 1.0))).price
    assert find_account(replace(endpoint, api_key=SECRET)) == place == BatchAccount.from_json(place.to_json())
    assert SECRET not in place.to_json()
    assert "openai" == find_account(replace(endpoint, model="gpt-4.1-mini")).form
