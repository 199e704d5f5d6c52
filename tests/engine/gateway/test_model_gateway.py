"""Asking keeps every reply, asks again where that can help, and stays within the limits of the run."""

import asyncio
import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from fakes.client import CHAT, Answer, FakeClient, HeardProgress, labelled
from fakes.reply_tables import run_sql

from engine.domain.progress import CallAttempted, CallBegun, CallEnded, Noticed, WaitedForTurn
from engine.errors import (
    BudgetError,
    ContentRefusedError,
    CredentialsError,
    ExemplarsError,
    MalformedAnswerError,
    ModelNotFoundError,
    ProviderDownError,
    ProviderError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    QuotaSpentError,
    RateLimitedError,
    RequestRefusedError,
    RetryableProviderError,
    StoreError,
)
from engine.gateway.budget import RunBudget, bound_call
from engine.gateway.model_gateway import ModelGateway
from engine.gateway.retrying import MAX_ATTEMPTS, MAX_FIRST_ATTEMPTS, MAX_MALFORMED
from engine.generation.prompts import make_text_schema, write_words_only
from engine.llm.prices import Price
from engine.llm.request import REFUSED, Endpoint, Prompt, Reply, Request
from engine.replies.replies import ReplyStore
from engine.settings import RepliesPlace
from engine.system.task_groups import gather_or_cancel

REQUEST = Request(Prompt("Write 1 text."), 100, 0.8)
TEXT_SCHEMA = make_text_schema(1)
STRICT = replace(REQUEST, schema=TEXT_SCHEMA, in_words=write_words_only(REQUEST.prompt, TEXT_SCHEMA))
REPLY = Reply("one", "stop", prompt_tokens=7, completion_tokens=3, cost_usd=0.01, odds={"good": -0.5})
PLAN = "plan-1"


def make_gateway(
    client: FakeClient, folder: Path, concurrency: int = 4, max_cost_usd: float | None = None, wait: float = 0.001
) -> ModelGateway:
    return ModelGateway(client, RepliesPlace(str(folder)), HeardProgress(), RunBudget(concurrency, max_cost_usd), wait)


def answer_in_turn(*answers: Reply | Exception) -> Answer:
    """The answers one after another, the last one from then on."""
    rest = list(answers)
    return lambda _: rest.pop(0) if len(rest) > 1 else rest[0]


def answer_each(cost_usd: float | None = 0.01) -> Answer:
    """A reply of its own to every request."""
    return lambda request: Reply(f"reply to {request.prompt.user}", "stop", 1, 1, cost_usd)


def make_request(number: int) -> Request:
    return replace(REQUEST, prompt=Prompt(f"Write text {number}."))


async def ask_once(gateway: ModelGateway, request: Request = REQUEST, label: str = "cell") -> Reply:
    async with gateway.keeping(PLAN):
        return await gateway.complete(labelled(label, request))


async def ask_many(gateway: ModelGateway, count: int) -> list[Reply | BaseException]:
    async with gateway.keeping(PLAN):
        asked = [gateway.complete(labelled(f"cell-{number}", make_request(number))) for number in range(count)]
        return await asyncio.gather(*asked, return_exceptions=True)


async def test_reply_is_the_clients_and_is_counted(tmp_path: Path) -> None:
    client = FakeClient(lambda _: REPLY)
    gateway = make_gateway(client, tmp_path)

    assert REPLY == await ask_once(gateway)
    assert (1, 1, 3, 0.01) == (
        gateway.budget.calls,
        gateway.budget.replies,
        gateway.budget.tokens,
        gateway.budget.cost_usd,
    )
    assert [REQUEST] == client.requests


async def test_kept_reply_is_not_asked_again(tmp_path: Path) -> None:
    client = FakeClient(answer_in_turn(REPLY, Reply("two", "stop")))
    gateway = make_gateway(client, tmp_path)
    async with gateway.keeping(PLAN):
        assert [REPLY, REPLY] == [await gateway.complete(labelled("cell", REQUEST)) for _ in range(2)]

    assert (1, 1, 2, 6) == (len(client.requests), gateway.budget.calls, gateway.budget.replies, gateway.budget.tokens)


async def test_second_run_finds_what_the_first_one_kept(tmp_path: Path) -> None:
    await ask_once(make_gateway(FakeClient(lambda _: REPLY), tmp_path))
    client = FakeClient(lambda _: AssertionError("asked again"))
    gateway = make_gateway(client, tmp_path)

    assert REPLY == await ask_once(gateway)
    assert ([], 0, 1, 0.01) == (client.requests, gateway.budget.calls, gateway.budget.replies, gateway.budget.cost_usd)


async def test_reply_is_on_disk_when_it_is_given(tmp_path: Path) -> None:
    gateway = make_gateway(FakeClient(lambda _: REPLY), tmp_path)
    async with gateway.keeping(PLAN):
        await gateway.complete(labelled("cell", REQUEST))
        [[kept]] = run_sql(RepliesPlace(str(tmp_path)), "SELECT reply FROM exemplars_replies")

    assert REPLY == Reply(**json.loads(kept))


@pytest.mark.parametrize(
    ("label", "request_", "endpoint", "plan"),
    [
        ("other cell", REQUEST, CHAT, PLAN),
        ("cell", make_request(2), CHAT, PLAN),
        ("cell", replace(REQUEST, prompt=Prompt("Write 1 text.", system="You write.")), CHAT, PLAN),
        ("cell", replace(REQUEST, temperature=0.7), CHAT, PLAN),
        ("cell", replace(REQUEST, max_tokens=99), CHAT, PLAN),
        ("cell", replace(REQUEST, seed=1), CHAT, PLAN),
        ("cell", STRICT, CHAT, PLAN),
        ("cell", REQUEST, replace(CHAT, identity="openai/test@elsewhere"), PLAN),
        ("cell", REQUEST, CHAT, "plan-2"),
    ],
)
async def test_anything_that_differs_is_asked(
    tmp_path: Path, label: str, request_: Request, endpoint: Endpoint, plan: str
) -> None:
    await ask_once(make_gateway(FakeClient(lambda _: REPLY), tmp_path))
    client = FakeClient(lambda _: Reply("two", "stop"), endpoint)
    gateway = make_gateway(client, tmp_path)
    async with gateway.keeping(plan):
        assert Reply("two", "stop") == await gateway.complete(labelled(label, request_))

    assert 1 == len(client.requests)


async def test_what_is_no_matter_of_the_reply_is_no_part_of_its_key(tmp_path: Path) -> None:
    await ask_once(make_gateway(FakeClient(lambda _: REPLY), tmp_path))
    endpoint = replace(CHAT, api_key="another", slots=2)

    assert REPLY == await ask_once(make_gateway(FakeClient(lambda _: AssertionError("asked"), endpoint), tmp_path))


async def test_runs_at_once_share_a_plan_and_the_first_reply_stands(tmp_path: Path) -> None:
    clients = [FakeClient(lambda _, word=word: Reply(word, "stop")) for word in ("one", "two")]  # type: ignore[misc]
    replies = await asyncio.gather(*(ask_once(make_gateway(client, tmp_path)) for client in clients))

    assert 1 == len({reply.text for reply in replies})


@pytest.mark.parametrize(("concurrency", "slots", "expected"), [(1, None, 1), (3, None, 3), (8, 2, 2), (2, 8, 2)])
async def test_calls_in_flight_never_pass_the_limit(
    tmp_path: Path, concurrency: int, slots: int | None, expected: int
) -> None:
    client = FakeClient(answer_each(), replace(CHAT, slots=slots), seconds=0.05)
    replies = await ask_many(make_gateway(client, tmp_path, concurrency), 20)

    assert [f"reply to Write text {number}." for number in range(20)] == [
        reply.text for reply in replies if isinstance(reply, Reply)
    ]
    assert expected == client.most_in_flight


@pytest.mark.parametrize("kind", [RateLimitedError, ProviderTimeoutError, ProviderUnavailableError])
async def test_failure_that_may_pass_is_asked_again(tmp_path: Path, kind: type[RetryableProviderError]) -> None:
    client = FakeClient(answer_in_turn(kind("later"), kind("later"), REPLY))
    gateway = make_gateway(client, tmp_path)

    assert REPLY == await ask_once(gateway)
    assert (3, 1) == (len(client.requests), gateway.budget.calls)


@pytest.mark.parametrize(("spoiled", "is_answered"), [(MAX_MALFORMED - 1, True), (MAX_MALFORMED, False)])
async def test_answer_that_cannot_be_read_is_asked_three_times_again_where_others_can(
    tmp_path: Path, spoiled: int, is_answered: bool
) -> None:
    client = FakeClient(answer_in_turn(REPLY, *[MalformedAnswerError("no choices")] * spoiled, REPLY))
    gateway = make_gateway(client, tmp_path)
    async with gateway.keeping(PLAN):
        await gateway.complete(labelled("first", REQUEST))
        [found] = await asyncio.gather(gateway.complete(labelled("second", REQUEST)), return_exceptions=True)

    assert (is_answered, 1 + MAX_MALFORMED) == (found == REPLY, len(client.requests))


async def test_provider_is_not_asked_before_the_time_that_it_named(tmp_path: Path) -> None:
    moments: list[float] = []
    answer = answer_in_turn(RateLimitedError("slow down", 0.15), REPLY)

    def note(request: Request) -> Reply | Exception:
        moments.append(time.monotonic())
        return answer(request)

    await ask_once(make_gateway(FakeClient(note), tmp_path, wait=0.0))

    assert 2 == len(moments)
    assert 0.15 <= moments[1] - moments[0] < 2


@pytest.mark.parametrize("kind", [CredentialsError, ModelNotFoundError, ProviderError, RequestRefusedError])
async def test_failure_that_cannot_pass_is_not_asked_again(tmp_path: Path, kind: type[ProviderError]) -> None:
    client = FakeClient(lambda _: kind("for good"))
    with pytest.raises(kind, match="for good"):
        await ask_once(make_gateway(client, tmp_path))

    assert 1 == len(client.requests)


async def test_first_call_gives_up_early_where_nothing_has_answered(tmp_path: Path) -> None:
    client = FakeClient(lambda _: ProviderUnavailableError("no connection", no_connection=True))
    with pytest.raises(ProviderDownError, match=f"no connection .asked {MAX_FIRST_ATTEMPTS} times"):
        await ask_once(make_gateway(client, tmp_path))

    assert MAX_FIRST_ATTEMPTS == len(client.requests) < MAX_ATTEMPTS


@pytest.mark.parametrize(
    "error",
    [
        ProviderTimeoutError("no reply", maybe_billed=True),
        ProviderUnavailableError("HTTP 503"),
        RateLimitedError("slow down"),
    ],
)
async def test_first_call_is_tried_to_the_end_where_somebody_is_there(
    tmp_path: Path, error: RetryableProviderError
) -> None:
    client = FakeClient(lambda _: error)
    with pytest.raises(ProviderDownError, match=f"asked {MAX_ATTEMPTS} times, no call has been answered"):
        await ask_once(make_gateway(client, tmp_path))

    assert MAX_ATTEMPTS == len(client.requests)


async def test_later_call_is_tried_to_the_end_where_something_has_answered(tmp_path: Path) -> None:
    client = FakeClient(answer_in_turn(REPLY, ProviderUnavailableError("no connection")))
    gateway = make_gateway(client, tmp_path)
    await ask_once(gateway, label="first")
    with pytest.raises(RetryableProviderError, match="no connection"):
        await ask_once(gateway, label="second")

    assert 1 + MAX_ATTEMPTS == len(client.requests)


async def test_failed_call_is_not_kept(tmp_path: Path) -> None:
    with pytest.raises(CredentialsError):
        await ask_once(make_gateway(FakeClient(lambda _: CredentialsError("no key")), tmp_path))

    assert REPLY == await ask_once(make_gateway(FakeClient(lambda _: REPLY), tmp_path))


def refuse_schema(request: Request) -> Reply | Exception:
    return RequestRefusedError("no response_format") if request.schema else REPLY


async def test_refused_schema_is_asked_for_in_words_and_remembered(tmp_path: Path) -> None:
    client = FakeClient(refuse_schema)
    gateway = make_gateway(client, tmp_path)
    async with gateway.keeping(PLAN):
        assert [REPLY, REPLY] == [await gateway.complete(labelled(label, STRICT)) for label in ("one", "two")]

    assert [TEXT_SCHEMA, None, None] == [request.schema for request in client.requests]
    in_words = client.requests[1]
    assert in_words.prompt.user.startswith(STRICT.prompt.user)
    assert in_words.prompt.user.endswith(json.dumps(TEXT_SCHEMA))
    assert (STRICT.max_tokens, STRICT.temperature) == (in_words.max_tokens, in_words.temperature)


def test_key_of_a_reply_is_made_of_what_is_sent() -> None:
    sent = (
        '{"logprobs": null, "max_tokens": 100, "prompt": {"system": null, "turns": [], "user": "Write 1 text."}, '
        '"sampler": null, "schema": null, "seed": null, "stop": [], "temperature": 0.8, "thinking": "none"}'
    )
    key = hashlib.sha256(f"cell\0openai/test@\0{sent}".encode()).hexdigest()

    assert key == replace(REQUEST, label="cell", key="other", in_words=Prompt("other")).digest("openai/test@")


async def test_reply_in_words_is_kept_for_the_request_with_its_schema(tmp_path: Path) -> None:
    await ask_once(make_gateway(FakeClient(refuse_schema), tmp_path), STRICT)

    assert REPLY == await ask_once(make_gateway(FakeClient(lambda _: AssertionError("asked")), tmp_path), STRICT)


async def test_request_that_is_refused_in_words_too_was_not_refused_for_its_schema(tmp_path: Path) -> None:
    client = FakeClient(answer_in_turn(*[RequestRefusedError("too long")] * 2, REPLY))
    gateway = make_gateway(client, tmp_path)
    with pytest.raises(RequestRefusedError, match="too long"):
        await ask_once(gateway, STRICT, "one")
    await ask_once(gateway, STRICT, "two")

    assert [TEXT_SCHEMA, None, TEXT_SCHEMA] == [request.schema for request in client.requests]


async def test_refusal_is_an_answer_and_is_kept(tmp_path: Path) -> None:
    client = FakeClient(lambda _: ContentRefusedError("against the policy"))
    gateway = make_gateway(client, tmp_path)
    refusal = Reply("against the policy", REFUSED)

    assert [refusal, refusal] == [await ask_once(gateway) for _ in range(2)]
    assert 1 == len(client.requests)
    assert refusal == await ask_once(make_gateway(FakeClient(lambda _: REPLY), tmp_path))


# At this price a call of 100 tokens can cost a cent, whatever its prompt.
CENT = Price(input_usd=0.0, output_usd=1e-4)
PRICED = replace(CHAT, price=CENT)


def make_priced(
    answer: Answer, folder: Path, max_cost_usd: float, concurrency: int = 1
) -> tuple[ModelGateway, FakeClient]:
    client = FakeClient(answer, PRICED)
    return make_gateway(client, folder, concurrency, max_cost_usd), client


def count_kinds(outcomes: Sequence[object]) -> tuple[int, int]:
    """Replies and calls that the budget stopped."""
    return (
        sum(isinstance(outcome, Reply) for outcome in outcomes),
        sum(isinstance(outcome, BudgetError) for outcome in outcomes),
    )


@pytest.mark.parametrize("concurrency", [1, 4, 32])
@pytest.mark.parametrize(("cost_usd", "made"), [(0.01, 5), (0.004, 12), (0.0, 40)])
async def test_no_call_is_made_that_could_pass_the_limit(
    tmp_path: Path, concurrency: int, cost_usd: float, made: int
) -> None:
    gateway, client = make_priced(answer_each(cost_usd), tmp_path, 0.055, concurrency)
    outcomes = await ask_many(gateway, 40)

    assert (made, 40 - made) == count_kinds(outcomes)
    assert made == len(client.requests)
    assert pytest.approx(made * cost_usd) == gateway.budget.cost_usd == gateway.budget.spent_usd


async def test_limit_below_one_call_asks_nothing(tmp_path: Path) -> None:
    gateway, client = make_priced(answer_each(0.01), tmp_path, 0.0099, 8)

    assert (0, 4) == count_kinds(await ask_many(gateway, 4))
    assert [] == client.requests


async def test_budget_error_says_what_to_do(tmp_path: Path) -> None:
    outcomes = await ask_many(make_priced(answer_each(0.01), tmp_path, 0.015)[0], 2)

    assert isinstance(outcomes[1], BudgetError)
    for part in ("limit of $0.015", "$0.0100 is spent", "could cost $0.0100", "EXEMPLARS_MAX_COST_USD", "start again"):
        assert part in str(outcomes[1])


async def test_call_that_broke_off_counts_as_if_it_had_cost_all_that_it_can(tmp_path: Path) -> None:
    broken = ProviderTimeoutError("no reply", maybe_billed=True)
    gateway, client = make_priced(answer_in_turn(REPLY, broken, REPLY), tmp_path, 0.035)
    outcomes = await ask_many(gateway, 4)

    assert (2, 2) == count_kinds(outcomes)
    assert (3, 1, 0.01) == (len(client.requests), gateway.budget.unanswered_calls, gateway.budget.unanswered_usd)
    assert "$0.0100 of it for 1 call that broke off" in str(outcomes[-1])


async def test_reply_that_does_not_say_what_it_took_counts_as_all_that_it_can_have_cost(tmp_path: Path) -> None:
    gateway, _ = make_priced(lambda _: Reply("one", "stop", cost_usd=0.0), tmp_path, 0.035)

    assert (3, 1) == count_kinds(await ask_many(gateway, 4))
    assert pytest.approx(0.03) == gateway.budget.spent_usd


async def test_once_refused_no_cheaper_call_is_made_either(tmp_path: Path) -> None:
    gateway, client = make_priced(answer_each(0.01), tmp_path, 0.0145)
    cheap = replace(REQUEST, max_tokens=40)
    async with gateway.keeping(PLAN):
        await gateway.complete(labelled("one", REQUEST))
        for label, request in [("two", REQUEST), ("three", cheap)]:
            with pytest.raises(BudgetError, match=r"next call could cost \$0\.0100"):
                await gateway.complete(labelled(label, request))

    assert 1 == len(client.requests)


async def test_call_that_was_sent_away_costs_nothing(tmp_path: Path) -> None:
    gateway, client = make_priced(answer_in_turn(REPLY, RateLimitedError("slow down"), REPLY), tmp_path, 0.035)

    assert (3, 1) == count_kinds(await ask_many(gateway, 4))
    assert (4, 0) == (len(client.requests), gateway.budget.unanswered_calls)


async def test_all_that_is_kept_of_the_plan_counts_whenever_it_is_asked_for(tmp_path: Path) -> None:
    earlier, _ = make_priced(answer_each(0.01), tmp_path, 1.0)
    async with earlier.keeping(PLAN):
        for number in range(10, 14):
            await earlier.complete(labelled(f"cell-{number}", make_request(number)))
    gateway, client = make_priced(answer_each(0.01), tmp_path, 0.055)

    assert (1, 7) == count_kinds(await ask_many(gateway, 8))
    assert 1 == len(client.requests)


async def test_call_that_a_dead_run_had_begun_counts(tmp_path: Path) -> None:
    with ReplyStore(RepliesPlace(str(tmp_path)), PLAN) as dead:
        await dead.begin(0.03)
    gateway, _ = make_priced(answer_each(0.01), tmp_path, 0.055)

    assert (2, 6) == count_kinds(await ask_many(gateway, 8))
    assert (1, 0.03) == (gateway.budget.unanswered_calls, gateway.budget.unanswered_usd)


async def test_raised_limit_goes_on_from_what_is_kept(tmp_path: Path) -> None:
    await ask_many(make_priced(answer_each(0.01), tmp_path, 0.025)[0], 4)
    gateway, client = make_priced(answer_each(0.01), tmp_path, 0.045)

    assert (4, 0) == count_kinds(await ask_many(gateway, 4))
    assert [make_request(2), make_request(3)] == client.requests


async def test_without_a_limit_or_a_price_nothing_is_stopped_and_the_model_is_named(tmp_path: Path) -> None:
    client = FakeClient(answer_each(None))
    gateway = make_gateway(client, tmp_path, 8)

    assert (20, 0) == count_kinds(await ask_many(gateway, 20))
    assert client.most_in_flight > 1
    assert {"openai/test"} == gateway.budget.unpriced


async def test_two_models_share_one_budget(tmp_path: Path) -> None:
    budget = RunBudget(8, max_cost_usd=0.1)
    clients = [FakeClient(answer_each(0.007), replace(PRICED, identity=name)) for name in ("one", "other")]
    gateways = [ModelGateway(client, RepliesPlace(str(tmp_path)), HeardProgress(), budget, 0.001) for client in clients]
    outcomes = await asyncio.gather(*(ask_many(gateway, 20) for gateway in gateways))

    # 12 of them, and a call that costs a cent at most: 0.094.
    assert 13 == sum(len(client.requests) for client in clients) == budget.calls
    assert all(isinstance(outcomes[number][-1], BudgetError) for number in range(2))


class Listening:
    """A rate limiter that lets every call through and keeps what it was told."""

    def __init__(self) -> None:
        self.entered: list[int] = []
        self.returned: list[int] = []

    async def acquire(self, tokens: int) -> None:
        self.entered.append(tokens)

    async def return_unused(self, tokens: int) -> None:
        self.returned.append(tokens)


async def test_every_try_enters_with_all_that_it_can_take_and_gives_back_what_it_did_not(tmp_path: Path) -> None:
    rate_limiter = Listening()
    client = FakeClient(answer_in_turn(RateLimitedError("slow down"), REPLY))
    gateway = ModelGateway(
        client, RepliesPlace(str(tmp_path)), HeardProgress(), RunBudget(1), 0.001, rate_limiter=rate_limiter
    )
    await ask_once(gateway)
    await ask_once(gateway)

    most = bound_call(REQUEST, CHAT).tokens
    assert [most, most] == rate_limiter.entered
    assert [most, most - REPLY.prompt_tokens - REPLY.completion_tokens] == rate_limiter.returned


FALLBACK = replace(CHAT, name="openai/spare", model="openai/spare", identity="openai/spare@")


@pytest.mark.parametrize(
    ("failure", "asked"),
    [
        (QuotaSpentError("nothing left"), 1),
        (ModelNotFoundError("no such model"), 1),
        (ProviderUnavailableError("down", no_connection=True), MAX_FIRST_ATTEMPTS),
    ],
)
async def test_fallback_is_asked_where_the_model_has_no_answer_and_is_named(
    tmp_path: Path, failure: Exception, asked: int
) -> None:
    first, spare = FakeClient(lambda _: failure), FakeClient(lambda _: REPLY, FALLBACK)
    progress = HeardProgress()
    gateway = ModelGateway(first, RepliesPlace(str(tmp_path)), progress, RunBudget(1), 0.001, fallbacks=[spare])
    replies = [await ask_once(gateway, label=str(number)) for number in range(3)]

    assert [replace(REPLY, model="openai/spare")] * 3 == replies
    assert (asked, 3) == (len(first.requests), len(spare.requests))
    [notice] = [event.text for event in progress.events if isinstance(event, Noticed)]
    assert notice.startswith(str(failure))
    assert "a fallback is asked" in notice


async def test_call_that_fails_for_good_goes_to_the_fallback_and_the_next_one_does_not(tmp_path: Path) -> None:
    down = ProviderUnavailableError("down")
    first = FakeClient(lambda request: down if "text 1" in request.prompt.user else REPLY)
    spare = FakeClient(lambda _: REPLY, FALLBACK)
    gateway = ModelGateway(first, RepliesPlace(str(tmp_path)), HeardProgress(), RunBudget(1), 0.001, fallbacks=[spare])
    replies = await ask_many(gateway, 3)

    assert [REPLY, replace(REPLY, model="openai/spare"), REPLY] == replies
    assert MAX_ATTEMPTS + 2 == len(first.requests)


class SlowClient(FakeClient):
    """Answers after a while, all but the first request, which fails at once."""

    seconds = 0.1

    async def complete(self, request: Request) -> Reply:
        self.requests.append(request)
        if len(self.requests) == 1:
            raise CredentialsError("no key")
        await asyncio.sleep(self.seconds)
        return REPLY


async def test_calls_in_flight_are_kept_where_another_ends_the_run(tmp_path: Path) -> None:
    gateway = make_gateway(SlowClient(lambda _: REPLY), tmp_path, 8)
    with pytest.raises(CredentialsError):
        async with gateway.keeping(PLAN):
            await gather_or_cancel(
                gateway.complete(labelled(f"cell-{number}", make_request(number))) for number in range(8)
            )

    assert 7 == gateway.budget.calls
    again = make_gateway(FakeClient(lambda _: AssertionError("asked")), tmp_path)
    async with again.keeping(PLAN):
        assert [REPLY] * 7 == [
            await again.complete(labelled(f"cell-{number}", make_request(number))) for number in range(1, 8)
        ]


async def test_calls_in_flight_are_cut_off_where_somebody_cancels_the_run(tmp_path: Path) -> None:
    client = SlowClient(lambda _: REPLY)
    client.seconds = 60
    client.requests.append(REQUEST)
    gateway = make_gateway(client, tmp_path, 8)
    async with gateway.keeping(PLAN):
        asking = asyncio.create_task(ask_one_by_one(gateway, 8))
        await asyncio.sleep(0.03)
        began = time.monotonic()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking

    assert time.monotonic() - began < 30
    assert 0 == gateway.budget.calls


async def ask_one_by_one(gateway: ModelGateway, count: int) -> None:
    await gather_or_cancel(
        gateway.complete(labelled(f"cell-{number}", make_request(number))) for number in range(count)
    )


async def test_wrong_key_asks_no_fallback(tmp_path: Path) -> None:
    first, spare = FakeClient(lambda _: CredentialsError("no key")), FakeClient(lambda _: REPLY, FALLBACK)
    gateway = ModelGateway(first, RepliesPlace(str(tmp_path)), HeardProgress(), RunBudget(1), 0.001, fallbacks=[spare])
    with pytest.raises(CredentialsError):
        await ask_once(gateway)

    assert [] == spare.requests


def count_most_in_flight(progress: HeardProgress) -> int:
    most, in_flight = 0, set[str]()
    for event in progress.events:
        if isinstance(event, CallBegun):
            in_flight.add(event.key)
        elif isinstance(event, CallEnded):
            in_flight.remove(event.key)
        most = max(most, len(in_flight))
    return most


async def test_two_models_share_the_calls_in_flight(tmp_path: Path) -> None:
    budget = RunBudget(3)
    progress = HeardProgress()
    clients = [FakeClient(answer_each(), replace(CHAT, identity=name)) for name in ("one", "other")]
    gateways = [ModelGateway(client, RepliesPlace(str(tmp_path)), progress, budget, 0.001) for client in clients]
    await asyncio.gather(*(ask_many(gateway, 20) for gateway in gateways))

    assert (40, 3) == (budget.calls, count_most_in_flight(progress))


async def test_asking_where_nothing_is_kept_is_an_error(tmp_path: Path) -> None:
    client = FakeClient(lambda _: REPLY)
    gateway = make_gateway(client, tmp_path)
    with pytest.raises(StoreError, match=r"ModelGateway\.keeping"):
        await gateway.complete(labelled("cell", REQUEST))
    await ask_once(gateway)
    with pytest.raises(StoreError, match=r"ModelGateway\.keeping"):
        await gateway.complete(labelled("cell", REQUEST))

    assert 1 == len(client.requests)


def put_file(folder: Path) -> Path:
    (folder / "cache").write_text("a file")
    return folder / "cache"


def put_folder_in_place_of_the_file(folder: Path) -> Path:
    (folder / "replies.sqlite").mkdir()
    return folder


@pytest.mark.parametrize("spoil", [put_file, put_folder_in_place_of_the_file])
async def test_replies_that_cannot_be_kept_are_an_error_before_anything_is_asked(
    tmp_path: Path, spoil: Callable[[Path], Path]
) -> None:
    client = FakeClient(lambda _: REPLY)
    with pytest.raises(StoreError, match="EXEMPLARS_CACHE_DIR"):
        await ask_once(make_gateway(client, spoil(tmp_path)))

    assert [] == client.requests


async def test_progress_hears_of_every_call(tmp_path: Path) -> None:
    progress = HeardProgress()
    client = FakeClient(answer_in_turn(REPLY, CredentialsError("no key")))
    gateway = ModelGateway(client, RepliesPlace(str(tmp_path)), progress, RunBudget(1))
    await ask_once(gateway)
    await ask_once(gateway)
    with pytest.raises(ExemplarsError):
        await ask_once(gateway, label="other")

    calls = [event for event in progress.events if isinstance(event, CallBegun | CallEnded)]
    first, second = calls[0].key, calls[-1].key

    assert [
        CallBegun(first),
        CallEnded(3, key=first),
        CallEnded(3, reused=True, key=first),
        CallBegun(second),
        CallEnded(failed=True, key=second),
    ] == calls
    assert "" != first != second


async def test_progress_hears_of_every_try_with_what_it_took_and_why_it_failed(tmp_path: Path) -> None:
    progress = HeardProgress()
    answer = Reply("one", "stop", prompt_tokens=7, completion_tokens=3, cost_usd=0.25)
    refusal = ContentRefusedError("not this one")
    client = FakeClient(answer_in_turn(RateLimitedError("slower"), answer, refusal, CredentialsError("no key")))
    gateway = ModelGateway(client, RepliesPlace(str(tmp_path)), progress, RunBudget(1), wait_seconds=0.0)
    await ask_once(gateway)
    await ask_once(gateway, label="second")
    with pytest.raises(ExemplarsError):
        await ask_once(gateway, label="third")
    tries = [event for event in progress.events if isinstance(event, CallAttempted)]

    assert ["RateLimitedError", "", "", "CredentialsError"] == [tried.error for tried in tries]
    assert [False, False, True, False] == [tried.refused for tried in tries]
    assert [(0, 0, None), (7, 3, 0.25)] == [
        (tried.prompt_tokens, tried.completion_tokens, tried.cost_usd) for tried in tries[:2]
    ]
    assert {("openai/test", "chat")} == {(tried.model, tried.style) for tried in tries}
    assert all(tried.seconds > 0 and tried.permit_seconds >= 0 for tried in tries)
    waits = [event for event in progress.events if isinstance(event, WaitedForTurn)]
    assert ["openai/test"] * 4 == [waited.model for waited in waits if waited.seconds >= 0]


async def test_call_that_is_tried_again_says_so_with_what_it_is_about(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    client = FakeClient(answer_in_turn(RateLimitedError("slower"), REPLY))
    gateway = ModelGateway(client, RepliesPlace(str(tmp_path)), HeardProgress(), RunBudget(1), wait_seconds=0.0)
    with caplog.at_level("INFO", "exemplars.calls"):
        await ask_once(gateway, label="clarity/0/positive/0")
    [record] = caplog.records

    assert "Try 1 of clarity/0/positive/0 failed, the next comes in 0.0 s: slower" == record.getMessage()
    assert ("openai/test", 1, "RateLimitedError") == (record.model, record.attempt, record.error)  # type: ignore[attr-defined]
