"""Calling: one model is called, as fast as its provider bears, and again where that may help."""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential

from engine.domain.progress import Tried
from engine.errors import (
    ContentRefusedError,
    ContextTooLongError,
    CredentialsError,
    ModelNotFoundError,
    ProviderDownError,
    ProviderError,
    QuotaSpentError,
    RequestRefusedError,
    RetryableProviderError,
)
from engine.gateway.budget import Bound, RunBudget, bound_call
from engine.gateway.rate_limit import RateLimiter
from engine.gateway.throttle import FIRST_PATIENCE_SECONDS, SILENT_CALLS, AdaptiveThrottle
from engine.generation.prompts import write_words_only
from engine.llm.prices import FREE
from engine.llm.request import REFUSED, Client, Reply, Request
from engine.replies.replies import ReplyStore
from engine.system.log_context import read_log_context

LOGGER = logging.getLogger("exemplars.calls")
MAX_ATTEMPTS = 8
MAX_WAIT_SECONDS = 60.0
# What ends a run, and how long those in flight then have.
ENDING = (CredentialsError, QuotaSpentError, ModelNotFoundError, ProviderDownError)
ENDING_SECONDS = 30.0
ALONE = 5
# What will be the same whatever is asked, and what another model may have an answer to. A key that is refused is for a
# person to put right.
GONE = (ProviderDownError, QuotaSpentError, ModelNotFoundError)
# Where there was never a connection there is no reason to think that there will be: give up sooner, by the number of
# tries or, where one of them takes long, by the time since the first.
MAX_FIRST_ATTEMPTS = 4


@dataclass(slots=True)
class _Tries:
    """One call's tries. ``counted`` are the failures that count: not those of a provider that answers nobody.

    ``turn_seconds`` is how long the last one waited for its turn.
    """

    began: float = 0.0
    failures: int = 0
    counted: int = 0
    turn_seconds: float = 0.0


class Caller:
    """The calls of one model, within the limits that it shares with others.

    Args:
        attempts: tries of one call while others are answered.
        stands_in: whether its replies have to say who answered, since another model was asked.
        wait_seconds: the first wait between two of them; it doubles, with full jitter.
        report: told of each try when it has ended.
    """

    def __init__(
        self,
        client: Client,
        budget: RunBudget,
        rate_limiter: RateLimiter,
        throttle: AdaptiveThrottle,
        wait_seconds: float = 0.5,
        attempts: int = MAX_ATTEMPTS,
        stands_in: bool = False,
        report: Callable[[Tried], None] = lambda _: None,
    ) -> None:
        self.endpoint = client.endpoint
        self._stands_in = stands_in
        self._report = report
        self.answered = False
        self.gone: ProviderError | None = None
        self._client = client
        self._budget = budget
        self._rate_limiter = rate_limiter
        self._throttle = throttle
        self._wait = wait_random_exponential(multiplier=wait_seconds, max=MAX_WAIT_SECONDS)
        self._attempts = attempts
        self._schema_in_words = False
        self._refused = 0

    async def call(self, request: Request, key: str, replies: ReplyStore, begin: Callable[[], None]) -> Reply:
        """The reply to a request, kept under its key; ``begin`` is told of each try that is made.

        Raises:
            RetryableProviderError: all attempts at this call failed, though others succeed.
            RequestRefusedError: the provider does not take this request, and may take others.
            BudgetError, StoreError, ProviderError: nothing will come of any call.
        """
        schema = None if self._schema_in_words else request.schema
        in_words = _ask_in_words(request)
        try:
            return await self._call(request if schema else in_words, key, replies, begin)
        except ContextTooLongError:
            raise
        except RequestRefusedError:
            if schema is None:
                raise
        # Not every provider takes a schema: this one is asked in words from here on, if it does take that.
        reply = await self._call(in_words, key, replies, begin)
        self._schema_in_words = True
        LOGGER.info("%s takes no schema: it is asked in words from here on", self.endpoint.name, extra=self._name())
        return reply

    async def _call(self, request: Request, key: str, replies: ReplyStore, begin: Callable[[], None]) -> Reply:
        tries = _Tries()
        attempts = AsyncRetrying(
            retry=retry_if_exception_type(RetryableProviderError),
            stop=lambda _: tries.counted >= self._attempts,
            wait=self._choose_wait,
            before_sleep=self._tell_again,
            reraise=True,
        )
        try:
            async for attempt in attempts:
                with attempt:
                    self._check_gone()
                    waiting = time.monotonic()
                    async with self._throttle.turn(tries.failures), self._budget.in_flight:
                        tries.turn_seconds = time.monotonic() - waiting
                        self._check_gone()
                        begin()
                        tries.began = tries.began or time.monotonic()
                        return await self._try(request, key, replies, tries)
        except GONE as error:
            self.gone = error
            raise
        raise AssertionError("tenacity ends by a reply or an exception")

    def _check_gone(self) -> None:
        if self.gone is not None:
            # Else it would gather the frames of all who raise it.
            raise self.gone.with_traceback(None)

    async def _try(self, request: Request, key: str, replies: ReplyStore, tries: _Tries) -> Reply:
        """One try, for which there is money and time; it is on record before it is made."""
        bound = bound_call(request, self.endpoint)
        waiting = time.monotonic()
        async with self._budget.reserving(bound.usd):
            await self._rate_limiter.enter(bound.tokens)
            waited = self._name_waits(tries, time.monotonic() - waiting)
            begun = None if self.endpoint.price == FREE else await replies.begin(bound.usd)
            try:
                reply = await self._finish(self._make(request, key, replies, bound, begun, waited), bound)
            except ProviderError as error:
                await self._close(error, bound, begun, replies)
                weighed = self._weigh(error, request, tries)
                if weighed is error:
                    raise
                raise weighed from error
        if reply.prompt_tokens:
            await self._rate_limiter.give_back(bound.tokens - reply.prompt_tokens - reply.completion_tokens)
        return reply

    async def _make(
        self, request: Request, key: str, replies: ReplyStore, bound: Bound, begun: int | None, waited: Tried
    ) -> Reply:
        began = time.monotonic()
        try:
            reply = self._complete_reply(await self._complete(request), bound)
        except ProviderError as error:
            self._report(replace(waited, seconds=time.monotonic() - began, error=type(error).__name__))
            raise
        self._report(_count_tokens(waited, reply, time.monotonic() - began))
        reply = await replies.keep(key, reply, begun)
        self._budget.count(reply, reused=False, endpoint=self.endpoint)
        return reply

    async def _finish(self, call: Coroutine[Any, Any, Reply], bound: Bound) -> Reply:
        """The reply of a call that is in flight. Where an error of another call ends the run it is waited for, since it
        is paid for; where somebody cancels the run it is not."""
        task = asyncio.create_task(call)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if self._budget.ends:
                with suppress(asyncio.CancelledError):
                    await asyncio.wait([task], timeout=ENDING_SECONDS)
            while not task.done():
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await asyncio.wait([task])
            if task.cancelled():
                # It may be billed all the same, and other runs may spend from the same budget.
                self._budget.count_unanswered(bound.usd)
            else:
                task.exception()
            raise

    async def _complete(self, request: Request) -> Reply:
        began = time.monotonic()
        try:
            reply = await self._client.complete(request)
        except ContentRefusedError as error:
            # A refusal is an answer: kept like any other, and not asked for again.
            reply = Reply(text=str(error), finish=REFUSED, cost_usd=0.0 if self.endpoint.price else None)
        self.answered = True
        self._throttle.take_reply(time.monotonic() - began)
        return reply

    def _complete_reply(self, reply: Reply, bound: Bound) -> Reply:
        """The reply with who answered, where another model was asked, and with the most that it can have cost, where
        the provider does not say how many tokens it took."""
        if self.endpoint.price and not reply.prompt_tokens and reply.finish != REFUSED:
            reply = replace(reply, cost_usd=bound.usd)
        return replace(reply, model=self.endpoint.name) if self._stands_in else reply

    async def _close(self, error: ProviderError, bound: Bound, begun: int | None, replies: ReplyStore) -> None:
        """What is known of a call that brought no reply: it cost nothing, or as much as it can have cost."""
        if error.maybe_billed:
            self._budget.count_unanswered(bound.usd)
            return
        if begun is not None:
            await replies.drop(begun)
        await self._rate_limiter.give_back(bound.tokens)

    def _weigh(self, error: ProviderError, request: Request, tries: _Tries) -> ProviderError:
        """What a failed try means for its call; where nothing has ever been answered, for all calls.

        Raises:
            ProviderDownError: nothing has been answered for as long as a run waits.
        """
        if isinstance(error, RequestRefusedError):
            self._throttle.take_refusal()
            self._refused += request.schema is None or isinstance(error, ContextTooLongError)
            hopeless = not self.answered and self._refused >= SILENT_CALLS
            return ProviderError(f"{error} (no call has been answered)") if hopeless else error
        if not isinstance(error, RetryableProviderError):
            return error
        self._throttle.take_failure(error, tries, self.answered)
        tries.failures += 1
        tries.counted += not self._throttle.is_open
        most = MAX_FIRST_ATTEMPTS if error.nobody_there else self._attempts
        patience_seconds = FIRST_PATIENCE_SECONDS if error.nobody_there else self._throttle.patience_seconds
        late = time.monotonic() - tries.began > patience_seconds
        if not self.answered and (tries.counted >= most or late):
            times = "once" if tries.failures == 1 else f"{tries.failures} times"
            return ProviderDownError(f"{error} (asked {times}, no call has been answered)")
        return error

    def _name_waits(self, tries: _Tries, permit_seconds: float) -> Tried:
        """What there is to tell of a try before it is made."""
        return Tried(self.endpoint.name, self.endpoint.style, 0.0, tries.turn_seconds, permit_seconds)

    def _name(self, **fields: object) -> dict[str, object]:
        """What a log line says besides what it is about."""
        return {"model": self.endpoint.name, **fields}

    def _tell_again(self, state: RetryCallState) -> None:
        """The log line of a call that is tried again."""
        if not LOGGER.isEnabledFor(logging.INFO):
            return
        error = state.outcome.exception() if state.outcome else None
        wait_seconds = round(state.next_action.sleep, 3) if state.next_action else 0.0
        kind = type(error).__name__
        LOGGER.info(
            "Try %d of %s failed, the next comes in %.1f s: %s",
            state.attempt_number,
            read_log_context().get("call", "a call"),
            wait_seconds,
            error,
            extra=self._name(attempt=state.attempt_number, wait_seconds=wait_seconds, error=kind),
        )

    def _choose_wait(self, state: RetryCallState) -> float:
        if self._throttle.is_open:
            # There it waits for its turn.
            return 0.0
        error = state.outcome.exception() if state.outcome else None
        asked = error.retry_after_seconds if isinstance(error, RetryableProviderError) else None
        if asked is not None:
            # Jitter is added on top, so that those who were sent away do not all come back at once.
            return min(asked, MAX_WAIT_SECONDS) + self._wait(state) / 10
        # Where others are answered all the while there is no load to wait out, and a round ends with those who wait.
        return self._wait(state) if self._throttle.is_strained or not self.answered else self._wait(state) / ALONE


def _count_tokens(waited: Tried, reply: Reply, seconds: float) -> Tried:
    """A try that was answered."""
    return replace(
        waited,
        seconds=seconds,
        prompt_tokens=reply.prompt_tokens,
        completion_tokens=reply.completion_tokens,
        cost_usd=reply.cost_usd,
        refused=reply.finish == REFUSED,
    )


def _ask_in_words(request: Request) -> Request:
    """The request with its schema in words; one without a schema as it is."""
    if request.schema is None:
        return request
    return replace(request, prompt=write_words_only(request.prompt, request.schema), schema=None)
