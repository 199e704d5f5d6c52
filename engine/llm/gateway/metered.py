"""Metering: reserve budget and rate for each call, record the call before it is sent, and store the reply."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace

from engine.domain.progress import CallAnswered, CallBegun, Event
from engine.errors import ContentRefusedError, ProviderError
from engine.llm.client.prices import FREE
from engine.llm.client.request import REFUSED, Client, Endpoint, Reply, Request
from engine.llm.embedded.embedded_models import is_embedded
from engine.llm.gateway.budget import CostCeiling, RunBudget, find_ceiling
from engine.llm.gateway.throttle import AdaptiveThrottle
from engine.llm.replies.replies import ReplyStore

# Maximum time for calls in flight to end when the error of another call ends the run.
ENDING_SECONDS = 30.0


class RateLimiter:
    """A limiter of the rate of calls. This base class sets no limit; in a run Prefect's limits do."""

    async def acquire(self, tokens: int) -> None:
        """Wait until a call of at most so many tokens, prompt and reply, may be sent; the caller sends it at once.

        Raises:
            InputError: a call of that size never fits into the rate.
            OrchestratorError: Prefect's server, which keeps the rate, does not answer.
        """

    async def return_unused(self, tokens: int) -> None:
        """Return permits for tokens that a call did not use; never raise."""


@dataclass(frozen=True, slots=True)
class _Call:
    """A call that is recorded, and about to be sent; ``number``, of its record, is None if it costs nothing."""

    request: Request
    replies: ReplyStore
    ceiling: CostCeiling
    number: int | None


@dataclass(slots=True)
class MeteredClient:
    """A client that makes calls within the run's budget and rate, and stores their replies.

    Args:
        throttle: receives each answer's duration.
        find_replies: returns the reply store of the current plan.
        report: receives an event when a call begins and when it is answered.
    """

    _client: Client
    _throttle: AdaptiveThrottle
    _budget: RunBudget
    _rate_limiter: RateLimiter
    _find_replies: Callable[[], ReplyStore]
    _report: Callable[[Event], None]
    endpoint: Endpoint = field(init=False)

    def __post_init__(self) -> None:
        self.endpoint = self._client.endpoint

    async def complete(self, request: Request) -> Reply:
        """Return the reply to one request, and store it under the request's key; a refused prompt is a reply too.

        Raises:
            BudgetError: the call could exceed the run's limit. StoreError: the reply cannot be stored.
            ProviderError: as the client's, except ``ContentRefusedError``.
        """
        replies, ceiling = self._find_replies(), find_ceiling(request, self.endpoint)
        self._report(CallBegun(request.key, request.judges))
        async with self._budget.reserving(ceiling.usd):
            await self._rate_limiter.acquire(ceiling.tokens)
            number = None if self.endpoint.price == FREE else await replies.begin(ceiling.usd, self._budget.limit)
            call = _Call(request, replies, ceiling, number)
            try:
                reply = await self._finish(call)
            except ProviderError as error:
                if error.maybe_billed:
                    self._count_lost(call)
                else:
                    if number is not None:
                        await replies.drop(number)
                    await self._rate_limiter.return_unused(ceiling.tokens)
                raise
        if reply.prompt_tokens:
            await self._rate_limiter.return_unused(ceiling.tokens - reply.prompt_tokens - reply.completion_tokens)
        return reply

    async def _finish(self, call: _Call) -> Reply:
        """Return the reply of a call in flight.

        If the error of another call ends the run, this call is awaited, since it is paid for; if a person cancels the
        run, it is cancelled.
        """
        task = asyncio.create_task(self._send(call))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if self._budget.is_aborting:
                with suppress(asyncio.CancelledError):
                    await asyncio.wait([task], timeout=ENDING_SECONDS)
            while not task.done():
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await asyncio.wait([task])
            if task.cancelled():
                self._count_lost(call)
            else:
                task.exception()
            raise

    async def _send(self, call: _Call) -> Reply:
        endpoint, request = self.endpoint, call.request
        sent = time.monotonic()
        try:
            reply = await self._client.complete(request)
        except ContentRefusedError as error:
            # A refusal is an answer: it is stored like any other, and the call is not repeated.
            reply = Reply(text=str(error), finish=REFUSED, cost_usd=0.0 if endpoint.price else None)
        seconds = time.monotonic() - sent
        self._throttle.take_reply(seconds)
        if endpoint.price and not reply.prompt_tokens and reply.finish != REFUSED:
            # The provider reports no tokens, so the call counts at its maximum cost.
            reply = replace(reply, cost_usd=call.ceiling.usd)
        self._report(CallAnswered(endpoint.identity, seconds, request.thinking, request.judges))
        embedded = endpoint.identity if is_embedded(endpoint.name) else None
        reply = await call.replies.keep(request.key, reply, call.number, embedded)
        self._budget.count(reply, reused=False, endpoint=endpoint)
        return reply

    def _count_lost(self, call: _Call) -> None:
        """Count a call without a reply at its maximum cost, since it may be billed."""
        self._budget.count_unanswered(call.ceiling.usd)
        if call.number is not None:
            call.replies.abandon(call.number)
