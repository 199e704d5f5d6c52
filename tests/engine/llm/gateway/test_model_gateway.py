"""The gateway stores every reply, retries if that can help, and stays within the limits of the run."""

import asyncio
import itertools
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fakes.client import CHAT, Answer, FakeClient, HeardProgress, labelled
from fakes.reply_tables import place_in, run_sql

from engine.asking.prompts import make_text_schema, write_words_only
from engine.domain.progress import CallAnswered, CallBegun, CallEnded
from engine.errors import (
    BudgetError,
    ContentRefusedError,
    ContextTooLongError,
    CredentialsError,
    ExemplarsError,
    MalformedAnswerError,
    ModelNotFoundError,
    ProviderDownError,
    ProviderError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    RateLimitedError,
    RequestRefusedError,
)
from engine.llm.client.prices import Price
from engine.llm.client.request import REFUSED, Endpoint, Prompt, Reply, Request
from engine.llm.gateway.budget import RunBudget, find_ceiling
from engine.llm.gateway.metered import ENDING_SECONDS
from engine.llm.gateway.model_gateway import ModelGateway, SharedModels
from engine.llm.gateway.retrying import MAX_ATTEMPTS, MAX_FIRST_ATTEMPTS, MAX_MALFORMED, MAX_MALFORMED_FIRST
from engine.llm.gateway.throttle import SILENT_CALLS
from engine.llm.replies.replies import ReplyStore
from engine.settings import DatabaseUrl
from engine.system.concurrency import gather_or_cancel

REQUEST = Request(Prompt("Write 1 text."), 100, 0.8)
TEXT_SCHEMA = make_text_schema(1)
STRICT = replace(REQUEST, schema=TEXT_SCHEMA, in_words=write_words_only(REQUEST.prompt, TEXT_SCHEMA))
REPLY = Reply("one", "stop", prompt_tokens=7, completion_tokens=3, cost_usd=0.01, odds={"good": -0.5})
PLAN = "plan-1"
# At this price a call of 100 tokens can cost a cent, whatever its prompt.
PRICED = replace(CHAT, price=Price(input_usd=0.0, output_usd=1e-4))
# Enough for the slowest machine.
SECONDS = 60


@pytest.fixture
def place(tmp_path: Path) -> DatabaseUrl:
    return place_in(tmp_path)


def make_gateway(client: FakeClient, place: DatabaseUrl, concurrency: int = 4, **given: Any) -> ModelGateway:
    """A gateway that waits for next to nothing; ``given`` are further arguments of ``ModelGateway``."""
    others: dict[str, Any] = {
        "progress": HeardProgress(),
        "budget": RunBudget(concurrency),
        "wait_seconds": 0.001,
    } | given
    return ModelGateway(client, place, **others)


def make_priced(
    place: DatabaseUrl, max_cost_usd: float, answer: Answer | None = None, concurrency: int = 1
) -> tuple[ModelGateway, FakeClient]:
    """Return a gateway with a price of a cent for each call by default."""
    client = FakeClient(answer or answer_each(), PRICED)
    return make_gateway(client, place, budget=RunBudget(concurrency, max_cost_usd)), client


def answer_in_turn(*answers: Reply | Exception) -> Answer:
    """The answers one after another, the last one from then on."""
    rest = list(answers)
    return lambda _: rest.pop(0) if len(rest) > 1 else rest[0]


def answer_each(cost_usd: float | None = 0.01) -> Answer:
    return lambda request: Reply(f"reply to {request.prompt.user}", "stop", 1, 1, cost_usd)


def ask_nobody(_: Request) -> Reply | Exception:
    return AssertionError("asked")


def make_request(number: int) -> Request:
    return replace(REQUEST, prompt=Prompt(f"Write text {number}."))


async def ask_once(gateway: ModelGateway, request: Request = REQUEST, label: str = "cell") -> Reply:
    async with gateway.record_replies(PLAN):
        return await gateway.complete(labelled(label, request))


async def ask_many(gateway: ModelGateway, count: int) -> list[Reply | BaseException]:
    async with gateway.record_replies(PLAN):
        asked = [gateway.complete(labelled(f"cell-{number}", make_request(number))) for number in range(count)]
        return await asyncio.gather(*asked, return_exceptions=True)


def count_kinds(outcomes: Sequence[object]) -> tuple[int, int]:
    """Replies and calls that the budget stopped."""
    kinds = [type(outcome) for outcome in outcomes]
    return kinds.count(Reply), kinds.count(BudgetError)


async def test_reply_is_asked_for_once_and_counted_each_time(place: DatabaseUrl) -> None:
    client = FakeClient(answer_in_turn(REPLY, Reply("two", "stop")))
    gateway, next_run = make_gateway(client, place), make_gateway(FakeClient(ask_nobody), place)
    async with gateway.record_replies(PLAN):
        found = [await gateway.complete(labelled("cell", REQUEST)) for _ in range(2)]
    found.append(await ask_once(next_run))

    assert ([REPLY] * 3, [REQUEST]) == (found, client.requests)
    assert [(1, 2, 6, 14, 0.02), (0, 1, 3, 7, 0.01)] == [
        (budget.calls, budget.replies, budget.tokens, budget.prompt_tokens, budget.cost_usd)
        for budget in (gateway.budget, next_run.budget)
    ]


async def test_reply_is_on_disk_when_it_is_given(place: DatabaseUrl) -> None:
    gateway = make_gateway(FakeClient(lambda _: REPLY), place)
    async with gateway.record_replies(PLAN):
        await gateway.complete(labelled("cell", REQUEST))
        [[kept]] = run_sql(place, "SELECT reply FROM exemplars_replies")

    assert REPLY == Reply(**json.loads(kept))


@pytest.mark.parametrize(
    ("label", "request_", "endpoint", "plan", "text"),
    [
        ("other cell", REQUEST, CHAT, PLAN, "two"),
        ("cell", STRICT, CHAT, PLAN, "two"),
        ("cell", REQUEST, replace(CHAT, identity="openai/test@elsewhere"), PLAN, "two"),
        ("cell", REQUEST, CHAT, "plan-2", "two"),
        ("cell", REQUEST, replace(CHAT, api_key="another", slots=2), PLAN, "one"),
    ],
)
async def test_whatever_makes_another_reply_is_asked(
    place: DatabaseUrl, label: str, request_: Request, endpoint: Endpoint, plan: str, text: str
) -> None:
    await ask_once(make_gateway(FakeClient(lambda _: REPLY), place))
    client = FakeClient(lambda _: Reply("two", "stop"), endpoint)
    gateway = make_gateway(client, place)
    async with gateway.record_replies(plan):
        found = await gateway.complete(labelled(label, request_))

    assert (text, text == "two") == (found.text, bool(client.requests))


class HeldClient(FakeClient):
    """Answers nothing before so many calls are in flight; then the first of them fails, where it is to."""

    def __init__(
        self, count: int, endpoint: Endpoint = CHAT, first: Exception | None = None, seconds: float = 0.01
    ) -> None:
        super().__init__(answer_each(), endpoint, seconds)
        self.full = asyncio.Event()
        self._first = first
        self._count = count
        self._begun = 0

    async def complete(self, request: Request) -> Reply:
        self._begun += 1
        error = self._first if self._begun == 1 else None
        if self._begun == self._count:
            self.full.set()
        await self.full.wait()
        if error is not None:
            raise error
        return await super().complete(request)


@pytest.mark.parametrize(("concurrency", "slots", "expected"), [(1, None, 1), (3, None, 3), (8, 2, 2), (2, 8, 2)])
async def test_calls_in_flight_never_pass_the_limit(
    place: DatabaseUrl, concurrency: int, slots: int | None, expected: int
) -> None:
    client = HeldClient(expected, replace(CHAT, slots=slots))
    async with asyncio.timeout(SECONDS):
        replies = await ask_many(make_gateway(client, place, concurrency), 10)

    assert [f"reply to Write text {number}." for number in range(10)] == [
        reply.text for reply in replies if isinstance(reply, Reply)
    ]
    assert expected == client.most_in_flight


@pytest.mark.parametrize(
    ("kind", "passes"),
    [
        *((kind, True) for kind in (RateLimitedError, ProviderTimeoutError, ProviderUnavailableError)),
        *((kind, False) for kind in (CredentialsError, ModelNotFoundError, ProviderError, RequestRefusedError)),
    ],
)
async def test_failure_is_asked_again_where_it_may_pass_and_is_never_kept(
    place: DatabaseUrl, kind: type[ProviderError], passes: bool
) -> None:
    client = FakeClient(answer_in_turn(kind("later"), kind("later"), REPLY))
    if not passes:
        for asked in (1, 2):
            with pytest.raises(kind, match="later"):
                await ask_once(make_gateway(client, place))
            assert asked == len(client.requests)
    gateway = make_gateway(client, place)

    assert REPLY == await ask_once(gateway)
    assert (3, 1) == (len(client.requests), gateway.budget.calls)


@pytest.mark.parametrize(("spoiled", "is_answered"), [(MAX_MALFORMED - 1, True), (MAX_MALFORMED, False)])
async def test_answer_that_cannot_be_read_is_asked_three_times_again_where_others_can(
    place: DatabaseUrl, spoiled: int, is_answered: bool
) -> None:
    client = FakeClient(answer_in_turn(REPLY, *[MalformedAnswerError("no choices")] * spoiled, REPLY))
    gateway = make_gateway(client, place)
    async with gateway.record_replies(PLAN):
        await gateway.complete(labelled("first", REQUEST))
        [found] = await asyncio.gather(gateway.complete(labelled("second", REQUEST)), return_exceptions=True)

    assert (is_answered, 1 + MAX_MALFORMED) == (found == REPLY, len(client.requests))


NOBODY = ProviderUnavailableError("no connection", no_connection=True)


@pytest.mark.parametrize(
    ("answers", "kind", "tries"),
    [
        ([NOBODY], ProviderDownError, MAX_FIRST_ATTEMPTS),
        ([RateLimitedError("slow down")], ProviderDownError, MAX_ATTEMPTS),
        ([MalformedAnswerError("a web page")], ProviderDownError, MAX_MALFORMED_FIRST),
        ([REPLY, NOBODY], ProviderUnavailableError, MAX_ATTEMPTS),
    ],
)
async def test_call_is_given_up_early_only_where_nobody_has_ever_been_there(
    place: DatabaseUrl, answers: list[Reply | Exception], kind: type[ProviderError], tries: int
) -> None:
    client = FakeClient(answer_in_turn(*answers))
    gateway = make_gateway(client, place)
    for number in range(len(answers) - 1):
        await ask_once(gateway, label=str(number))
    with pytest.raises(kind) as caught:
        await ask_once(gateway)

    assert tries == len(client.requests) - len(answers) + 1
    assert (kind is ProviderDownError) is (f"{answers[-1]} (asked {tries} times, no " in str(caught.value))


@pytest.mark.parametrize(("kind", "strict"), [(RequestRefusedError, False), (ContextTooLongError, True)])
async def test_provider_that_refuses_every_request_ends_the_run(
    place: DatabaseUrl, kind: type[RequestRefusedError], strict: bool
) -> None:
    gateway = make_gateway(FakeClient(lambda _: kind("never")), place)
    request = STRICT if strict else REQUEST
    errors = []
    for number in range(SILENT_CALLS):
        with pytest.raises(ProviderError, match="never") as caught:
            await ask_once(gateway, request, str(number))
        errors.append(caught.type)

    assert [*[kind] * (SILENT_CALLS - 1), ProviderError] == errors


async def test_refused_schema_is_asked_for_in_words_and_remembered(place: DatabaseUrl) -> None:
    client = FakeClient(lambda request: RequestRefusedError("no response_format") if request.schema else REPLY)
    gateway = make_gateway(client, place)
    async with gateway.record_replies(PLAN):
        assert [REPLY, REPLY] == [await gateway.complete(labelled(label, STRICT)) for label in ("cell", "two")]

    assert [TEXT_SCHEMA, None, None] == [request.schema for request in client.requests]
    assert STRICT.in_words == client.requests[1].prompt
    # It is kept for the request with its schema.
    assert REPLY == await ask_once(make_gateway(FakeClient(ask_nobody), place), STRICT)
    # What is refused in words too was not refused for its schema.
    picky = FakeClient(answer_in_turn(*[RequestRefusedError("too long")] * 2, REPLY))
    gateway = make_gateway(picky, place)
    with pytest.raises(RequestRefusedError, match="too long"):
        await ask_once(gateway, STRICT, "three")
    await ask_once(gateway, STRICT, "four")
    assert [TEXT_SCHEMA, None, TEXT_SCHEMA] == [request.schema for request in picky.requests]


async def test_refusal_is_an_answer_and_is_kept(place: DatabaseUrl) -> None:
    client = FakeClient(lambda _: ContentRefusedError("against the policy"))
    gateway = make_gateway(client, place)
    refusal = Reply("against the policy", REFUSED)

    assert [refusal, refusal] == [await ask_once(gateway) for _ in range(2)]
    assert 1 == len(client.requests)
    assert refusal == await ask_once(make_gateway(FakeClient(ask_nobody), place))


@pytest.mark.parametrize("concurrency", [1, 32])
@pytest.mark.parametrize(
    ("limit_usd", "cost_usd", "made"), [(0.055, 0.01, 5), (0.055, 0.004, 12), (0.055, 0.0, 20), (0.0099, 0.01, 0)]
)
async def test_no_call_is_made_that_could_pass_the_limit(
    place: DatabaseUrl, concurrency: int, limit_usd: float, cost_usd: float, made: int
) -> None:
    gateway, client = make_priced(place, limit_usd, answer_each(cost_usd), concurrency)
    outcomes = await ask_many(gateway, 20)

    assert (made, 20 - made) == count_kinds(outcomes)
    assert made == len(client.requests)
    assert pytest.approx(made * cost_usd) == gateway.budget.spent_usd


BROKEN = ProviderTimeoutError("no reply", maybe_billed=True)


@pytest.mark.parametrize(
    ("answers", "made", "unanswered"),
    [
        ([REPLY, BROKEN, REPLY], 2, 1),
        ([REPLY, RateLimitedError("slow down"), REPLY], 3, 0),
        # It does not say how many tokens it took.
        ([Reply("one", "stop", cost_usd=0.0)], 3, 0),
    ],
)
async def test_each_call_counts_at_what_it_can_have_cost(
    place: DatabaseUrl, answers: list[Reply | Exception], made: int, unanswered: int
) -> None:
    gateway, _ = make_priced(place, 0.035, answer_in_turn(*answers))
    outcomes = await ask_many(gateway, 4)

    assert (made, 4 - made) == count_kinds(outcomes)
    assert (unanswered, 0.01 * unanswered) == (gateway.budget.unanswered_calls, gateway.budget.unconfirmed_usd)
    assert pytest.approx(0.03) == gateway.budget.spent_usd
    said = str(outcomes[-1])
    for part in ("limit of $0.035", "$0.0300 is spent", "could cost $0.0100", "Raise EXEMPLARS_MAX_COST_USD"):
        assert part in said
    assert (unanswered > 0) is ("$0.0100 of it for 1 call that broke off" in said)


async def test_what_earlier_runs_of_the_plan_spent_counts_whenever_it_is_asked_for(place: DatabaseUrl) -> None:
    earlier, _ = make_priced(place, 1.0)
    async with earlier.record_replies(PLAN):
        for number in (10, 11):
            await earlier.complete(labelled(f"cell-{number}", make_request(number)))
    with ReplyStore(place, PLAN) as dead:
        await dead.begin(0.03)
    gateway, client = make_priced(place, 0.065)

    assert (1, 7) == count_kinds(await ask_many(gateway, 8))
    assert (1, 1, 0.03) == (len(client.requests), gateway.budget.unanswered_calls, gateway.budget.unconfirmed_usd)


async def test_without_a_limit_or_a_price_nothing_is_stopped_and_the_model_is_named(place: DatabaseUrl) -> None:
    gateway = make_gateway(FakeClient(answer_each(None)), place, 8)

    assert (20, 0) == count_kinds(await ask_many(gateway, 20))
    assert {"openai/test"} == gateway.budget.unpriced


async def test_two_models_share_one_budget_and_the_calls_in_flight(place: DatabaseUrl) -> None:
    budget, progress = RunBudget(3, max_cost_usd=0.1), HeardProgress()
    clients = [FakeClient(answer_each(0.007), replace(PRICED, identity=name)) for name in ("one", "other")]
    gateways = [make_gateway(client, place, budget=budget, progress=progress) for client in clients]
    outcomes = await asyncio.gather(*(ask_many(gateway, 20) for gateway in gateways))
    in_flight = itertools.accumulate(
        isinstance(event, CallBegun) - isinstance(event, CallEnded) for event in progress.events
    )

    # 12 of them, and a call that costs a cent at most: 0.094.
    assert 13 == sum(len(client.requests) for client in clients) == budget.calls
    assert all(isinstance(outcomes[number][-1], BudgetError) for number in range(2))
    assert max(in_flight) <= 3


class Listening:
    """A rate limiter that admits every call and records its arguments."""

    def __init__(self) -> None:
        self.entered: list[int] = []
        self.returned: list[int] = []

    async def acquire(self, tokens: int) -> None:
        self.entered.append(tokens)

    async def return_unused(self, tokens: int) -> None:
        self.returned.append(tokens)


async def test_every_try_enters_with_all_that_it_can_take_and_gives_back_what_it_did_not(place: DatabaseUrl) -> None:
    rate_limiter = Listening()
    client = FakeClient(answer_in_turn(RateLimitedError("slow down"), REPLY))
    gateway = make_gateway(client, place, rate_limiter=rate_limiter)
    await ask_once(gateway)
    await ask_once(gateway)

    most = find_ceiling(REQUEST, CHAT).tokens
    assert [most, most] == rate_limiter.entered
    assert [most, most - REPLY.prompt_tokens - REPLY.completion_tokens] == rate_limiter.returned


async def ask_together(gateway: ModelGateway) -> None:
    await gather_or_cancel(gateway.complete(labelled(f"cell-{number}", make_request(number))) for number in range(8))


async def test_calls_in_flight_are_kept_where_another_ends_the_run(place: DatabaseUrl) -> None:
    gateway = make_gateway(HeldClient(8, first=CredentialsError("no key")), place, 8)
    with pytest.raises(CredentialsError):
        async with asyncio.timeout(SECONDS), gateway.record_replies(PLAN):
            await ask_together(gateway)
    again = await ask_many(make_gateway(FakeClient(ask_nobody), place), 8)

    assert 7 == gateway.budget.calls
    assert (7, 0) == count_kinds(again)


async def test_calls_in_flight_are_cut_off_where_somebody_cancels_the_run(place: DatabaseUrl) -> None:
    client = HeldClient(8, seconds=3600)
    gateway = make_gateway(client, place, 8)
    async with asyncio.timeout(SECONDS), gateway.record_replies(PLAN):
        asking = asyncio.create_task(ask_together(gateway))
        await client.full.wait()
        asking.cancel()
        # Slightly less than the time that calls have after the error of another call ends the run.
        await asyncio.wait([asking], timeout=0.9 * ENDING_SECONDS)
        assert asking.cancelled()

    assert (0, 8) == (gateway.budget.calls, gateway.budget.unanswered_calls)


async def test_progress_hears_of_every_call_and_of_every_answer(place: DatabaseUrl) -> None:
    progress = HeardProgress()
    refusal = ContentRefusedError("not this one")
    client = FakeClient(answer_in_turn(RateLimitedError("slower"), REPLY, refusal, CredentialsError("no key")))
    gateway = make_gateway(client, place, 1, progress=progress)
    for label in ("first", "first", "second"):
        await ask_once(gateway, label=label)
    with pytest.raises(ExemplarsError):
        await ask_once(gateway, label="third")
    calls = [event for event in progress.events if isinstance(event, CallBegun | CallEnded)]
    answered = [event for event in progress.events if isinstance(event, CallAnswered)]
    first, second, third = dict.fromkeys(event.key for event in calls)

    expected = [CallBegun(first), CallBegun(first), CallEnded(3, key=first), CallEnded(3, reused=True, key=first)]
    expected += [CallBegun(second), CallEnded(0, key=second), CallBegun(third), CallEnded(key=third)]
    assert expected == calls
    assert [client.endpoint.identity] * 2 == [event.identity for event in answered if event.seconds > 0]


async def test_call_that_is_tried_again_says_when_that_is_and_what_it_is_about(
    place: DatabaseUrl, caplog: pytest.LogCaptureFixture
) -> None:
    client = FakeClient(answer_in_turn(RateLimitedError("slower"), RateLimitedError("slower", 0.15), REPLY))
    with caplog.at_level("INFO", "exemplars.calls"):
        await ask_once(make_gateway(client, place, wait_seconds=0.0), label="clarity/0/positive/0")

    assert "Attempt 1 of clarity/0/positive/0 failed, the next starts in" in caplog.messages[0]
    told = [(vars(record)["attempt"], vars(record)["wait_seconds"]) for record in caplog.records]
    assert [(1, 0.0), (2, 0.15)] == told
    assert {"model": "openai/test", "error": "RateLimitedError"}.items() <= vars(caplog.records[0]).items()


def test_runs_ask_one_model_at_one_pace_and_an_embedded_one_for_as_many_as_it_has_slots() -> None:
    with SharedModels(24, 60.0) as shared:
        throttle = shared.find_throttle(CHAT)

        assert shared.find_throttle(CHAT) is throttle
        assert shared.find_throttle(replace(CHAT, identity="another")) is not throttle
        assert [24, 8] == [throttle.window, shared.find_throttle(replace(CHAT, identity="third", slots=8)).window]
