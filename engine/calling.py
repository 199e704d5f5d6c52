"""Calling: one model is called, as fast as its provider bears, and again where that may help; every call is on record."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential

from engine.bounds import Bound, bound_call
from engine.errors import (
    ContentRefusedError,
    ProviderDownError,
    ProviderError,
    RequestRefusedError,
    RetryableProviderError,
)
from engine.limits import Limits
from engine.llm import Endpoint, Request
from engine.pace import FIRST_PATIENCE_SECONDS, SILENT_CALLS, Pace
from engine.prices import FREE
from engine.prompting import write_words_only
from engine.replies import KeptReplies, Reply
from engine.turnstile import Turnstile

MAX_ATTEMPTS = 8
MAX_WAIT_SECONDS = 60.0
REFUSED = "content_filter"
# Before anything has answered there is no reason to think that anything will: give up sooner, by the number of tries
# or, where one of them takes long, by the time since the first.
MAX_FIRST_ATTEMPTS = 4


class Client(Protocol):
    """What can be asked: litellm in a run, a fake in the tests."""

    endpoint: Endpoint

    async def complete(self, request: Request) -> Reply:
        """One reply, asked once; see ``LitellmClient.complete``."""


@dataclass(slots=True)
class _Tries:
    """One call's tries. ``counted`` are the failures that count: not those of a provider that answers nobody."""

    began: float = field(default_factory=time.monotonic)
    failures: int = 0
    counted: int = 0


class Caller:
    """The calls of one model, within the limits that it shares with others.

    Args:
        attempts: tries of one call while others are answered.
        wait_seconds: the first wait between two of them; it doubles, with full jitter.
    """

    def __init__(
        self,
        client: Client,
        limits: Limits,
        turnstile: Turnstile,
        pace: Pace,
        wait_seconds: float = 0.5,
        attempts: int = MAX_ATTEMPTS,
    ) -> None:
        self.endpoint = client.endpoint
        self.answered = False
        self._client = client
        self._limits = limits
        self._turnstile = turnstile
        self._pace = pace
        self._wait = wait_random_exponential(multiplier=wait_seconds, max=MAX_WAIT_SECONDS)
        self._attempts = attempts
        self._schema_in_words = False
        self._refused = 0

    async def call(self, request: Request, key: str, replies: KeptReplies, begin: Callable[[], None]) -> Reply:
        """The reply to a request, kept under its key; ``begin`` is told of each try that is made.

        Raises:
            RetryableProviderError: all attempts at this call failed, though others succeed.
            RequestRefusedError: the provider does not take this request, and may take others.
            BudgetError, StoreError, ProviderError: nothing will come of any call.
        """
        tries = _Tries()
        attempts = AsyncRetrying(
            retry=retry_if_exception_type(RetryableProviderError),
            stop=lambda _: tries.counted >= self._attempts,
            wait=self._choose_wait,
            reraise=True,
        )
        async for attempt in attempts:
            with attempt:
                try:
                    return await self._try(request, key, replies, tries, begin)
                except RetryableProviderError as error:
                    self._count_failure(error, tries)
                    raise
                except RequestRefusedError as error:
                    raise self._weigh_refusal(error) from error
        raise AssertionError("tenacity ends by a reply or an exception")

    async def _try(
        self, request: Request, key: str, replies: KeptReplies, tries: _Tries, begin: Callable[[], None]
    ) -> Reply:
        """One try, for which there is a place, money and time; it is on record before it is made."""
        bound = bound_call(request, self.endpoint)
        async with self._pace.turn(tries.failures), self._limits.in_flight, self._limits.reserving(bound.usd):
            await self._turnstile.enter(bound.tokens)
            begin()
            begun = None if self.endpoint.price == FREE else await replies.begin(bound.usd)
            try:
                reply = await self._complete(request)
            except ProviderError as error:
                await self._close(error, bound, begun, replies)
                raise
            reply = await replies.keep(key, reply, begun)
            self._limits.count(reply, reused=False)
            if self.endpoint.price is None:
                self._limits.unpriced.add(self.endpoint.name)
        await self._turnstile.give_back(bound.tokens - reply.prompt_tokens - reply.completion_tokens)
        return reply

    async def _complete(self, request: Request) -> Reply:
        began = time.monotonic()
        try:
            reply = await self._send(request)
        except ContentRefusedError as error:
            # A refusal is an answer: kept like any other, and not asked for again.
            reply = Reply(text=str(error), finish=REFUSED, cost_usd=0.0 if self.endpoint.price else None)
        except RetryableProviderError as error:
            self._pace.take_failure(error, self.answered)
            raise
        self.answered = True
        self._pace.take_reply(time.monotonic() - began)
        return reply

    async def _send(self, request: Request) -> Reply:
        """One call; where the provider does not take the schema, it is asked for in words from then on."""
        if request.schema is None:
            return await self._client.complete(request)
        in_words = replace(request, prompt=write_words_only(request.prompt, request.schema), schema=None)
        if self._schema_in_words:
            return await self._client.complete(in_words)
        try:
            return await self._client.complete(request)
        except RequestRefusedError:
            reply = await self._client.complete(in_words)
            self._schema_in_words = True
            return reply

    async def _close(self, error: ProviderError, bound: Bound, begun: int | None, replies: KeptReplies) -> None:
        """What is known of a call that brought no reply: it cost nothing, or as much as it can have cost."""
        if isinstance(error, RetryableProviderError) and error.maybe_billed:
            self._limits.count_unanswered(bound.usd)
            return
        if begun is not None:
            await replies.drop(begun)
        await self._turnstile.give_back(bound.tokens)

    def _count_failure(self, error: RetryableProviderError, tries: _Tries) -> None:
        tries.failures += 1
        tries.counted += not self._pace.is_open
        if self.answered or error.asks_to_wait:
            return
        if tries.failures >= MAX_FIRST_ATTEMPTS or time.monotonic() - tries.began > FIRST_PATIENCE_SECONDS:
            times = "once" if tries.failures == 1 else f"{tries.failures} times"
            raise ProviderDownError(f"{error} (asked {times}, no call has been answered)") from error

    def _weigh_refusal(self, error: RequestRefusedError) -> ProviderError:
        """The refusal of one request, or, where there were many and nothing else, of all that a run would ask."""
        self._refused += 1
        if self.answered or self._refused < SILENT_CALLS:
            return error
        return ProviderError(f"{error} (asked {self._refused} times, no call has been answered)")

    def _choose_wait(self, state: RetryCallState) -> float:
        if self._pace.is_open:
            # There it waits for its turn.
            return 0.0
        error = state.outcome.exception() if state.outcome else None
        asked = error.retry_after_seconds if isinstance(error, RetryableProviderError) else None
        # Jitter is added on top of Retry-After, so that those who were sent away do not all come back at once.
        return min(asked, MAX_WAIT_SECONDS) + self._wait(state) / 10 if asked is not None else self._wait(state)
