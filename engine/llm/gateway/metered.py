"""Metering: reserves budget and rate for each call, records it before sending, and stores the reply."""

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

# How long calls in flight have to end when an error of another call ends the run.
ENDING_SECONDS = 30.0


class RateLimiter:
    """Makes calls wait; this one, for where no rate is set, does not, and Prefect's limits do in a run."""

    async def acquire(self, tokens: int) -> None:
        """Waits until one more call of at most so many tokens, prompt and reply, may be sent; it is to be sent at once.

        Raises:
            InputError: a call of that size never fits into the rate.
            OrchestratorError: Prefect's server, which keeps the rate, does not answer.
        """

    async def return_unused(self, tokens: int) -> None:
        """Returns tokens that a call had permits for and did not use; never raises."""


@dataclass(frozen=True, slots=True)
class _Call:
    """A call that is recorded, and about to be sent; ``begun`` is None where it costs nothing."""

    request: Request
    replies: ReplyStore
    bound: CostCeiling
    begun: int | None


@dataclass(slots=True)
class MeteredClient:
    """Makes one call within the run's budget and rate, and keeps its reply.

    Args:
        throttle: told of each answer, and how long it took.
        find_replies: the reply store of the plan that is under way.
        report: told when a call begins and when it is answered.
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
        """The reply to one request, kept under the request's key; a refusal of the prompt is a reply too.

        Raises:
            BudgetError: the call could cost more than the run may. StoreError: the reply cannot be kept.
            ProviderError: as the client's, but for ``ContentRefusedError``.
        """
        replies, bound = self._find_replies(), find_ceiling(request, self.endpoint)
        self._report(CallBegun(request.key, request.judges))
        async with self._budget.reserving(bound.usd):
            await self._rate_limiter.acquire(bound.tokens)
            begun = None if self.endpoint.price == FREE else await replies.begin(bound.usd, self._budget.limit)
            call = _Call(request, replies, bound, begun)
            try:
                reply = await self._finish(call)
            except ProviderError as error:
                if error.maybe_billed:
                    self._lose(call)
                else:
                    if begun is not None:
                        await replies.drop(begun)
                    await self._rate_limiter.return_unused(bound.tokens)
                raise
        if reply.prompt_tokens:
            await self._rate_limiter.return_unused(bound.tokens - reply.prompt_tokens - reply.completion_tokens)
        return reply

    async def _finish(self, call: _Call) -> Reply:
        """The reply of a call that is in flight.

        If the error of another call ends the run, this call is awaited, since it is paid for; if somebody cancels the
        run, it is cancelled.
        """
        task = asyncio.create_task(self._send(call))
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
                self._lose(call)
            else:
                task.exception()
            raise

    async def _send(self, call: _Call) -> Reply:
        asked, request = self.endpoint, call.request
        sent = time.monotonic()
        try:
            reply = await self._client.complete(request)
        except ContentRefusedError as error:
            # A refusal is an answer: kept like any other, and not asked for again.
            reply = Reply(text=str(error), finish=REFUSED, cost_usd=0.0 if asked.price else None)
        seconds = time.monotonic() - sent
        self._throttle.take_reply(seconds)
        if asked.price and not reply.prompt_tokens and reply.finish != REFUSED:
            # It does not tell its tokens: it counts as the most that it can have cost.
            reply = replace(reply, cost_usd=call.bound.usd)
        self._report(CallAnswered(asked.identity, seconds, request.thinking, request.judges))
        embedded = asked.identity if is_embedded(asked.name) else None
        reply = await call.replies.keep(request.key, reply, call.begun, embedded)
        self._budget.count(reply, reused=False, endpoint=asked)
        return reply

    def _lose(self, call: _Call) -> None:
        """Counts a call that brought no reply at its most: it may be billed all the same."""
        self._budget.count_unanswered(call.bound.usd)
        if call.begun is not None:
            call.replies.abandon(call.begun)
