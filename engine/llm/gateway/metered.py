"""Metering: a call is made once it has money and a permit, it is on record before it is made, and its reply is kept."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import replace
from typing import Any

from engine.domain.progress import CallAttempted, CallBegun, Event
from engine.errors import ProviderError
from engine.llm.client.prices import FREE
from engine.llm.client.request import REFUSED, Client, Reply, Request
from engine.llm.embedded.embedded_models import is_embedded
from engine.llm.gateway.budget import Bound, RunBudget, bound_call
from engine.llm.gateway.rate_limit import RateLimiter
from engine.llm.replies.replies import ReplyStore

# How long calls in flight have to end when an error of another call ends the run.
ENDING_SECONDS = 30.0


class MeteredClient:
    """Makes one call within the run's budget and rate, and keeps its reply.

    Args:
        find_replies: the reply store of the plan that is under way.
        report: told when a call begins and when it has ended.
        stands_in: whether a reply has to say who answered, since another model was asked first.
    """

    def __init__(
        self,
        client: Client,
        budget: RunBudget,
        rate_limiter: RateLimiter,
        find_replies: Callable[[], ReplyStore],
        report: Callable[[Event], None],
        stands_in: bool = False,
    ) -> None:
        self.endpoint = client.endpoint
        self._client = client
        self._budget = budget
        self._rate_limiter = rate_limiter
        self._find_replies = find_replies
        self._report = report
        self._stands_in = stands_in

    async def complete(self, request: Request) -> Reply:
        """The reply to one request, kept under the request's key.

        Raises:
            BudgetError: the call could cost more than the run may. StoreError: the reply cannot be kept.
            ProviderError: as the client's.
        """
        replies, bound = self._find_replies(), bound_call(request, self.endpoint)
        self._report(CallBegun(request.key))
        waiting = time.monotonic()
        async with self._budget.reserving(bound.usd):
            await self._rate_limiter.acquire(bound.tokens)
            waited = CallAttempted(self.endpoint.name, self.endpoint.style, 0.0, time.monotonic() - waiting)
            begun = None if self.endpoint.price == FREE else await replies.begin(bound.usd, self._budget.shared_limit)

            def lose() -> None:
                # It may be billed all the same, and other runs may spend from the same budget.
                self._budget.count_unanswered(bound.usd)
                if begun is not None:
                    replies.abandon(begun)

            try:
                reply = await self._finish(self._make(request, replies, bound, begun, waited), lose)
            except ProviderError as error:
                if error.maybe_billed:
                    lose()
                else:
                    await self._settle(bound, begun, replies)
                raise
        if reply.prompt_tokens:
            await self._rate_limiter.return_unused(bound.tokens - reply.prompt_tokens - reply.completion_tokens)
        return reply

    async def _make(
        self, request: Request, replies: ReplyStore, bound: Bound, begun: int | None, waited: CallAttempted
    ) -> Reply:
        began = time.monotonic()
        try:
            reply = self._complete_reply(await self._client.complete(request), bound)
        except ProviderError as error:
            self._report(replace(waited, seconds=time.monotonic() - began, error=type(error).__name__))
            raise
        self._report(_count_tokens(waited, reply, time.monotonic() - began))
        asked = self.endpoint.identity if is_embedded(self.endpoint.name) else None
        reply = await replies.keep(request.key, reply, begun, asked)
        self._budget.count(reply, reused=False, endpoint=self.endpoint)
        return reply

    async def _finish(self, call: Coroutine[Any, Any, Reply], lose: Callable[[], None]) -> Reply:
        """The reply of a call that is in flight; ``lose`` counts it where none will come.

        If the error of another call ends the run, this call is awaited, since it is paid for; if somebody cancels the
        run, it is cancelled.
        """
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
                lose()
            else:
                task.exception()
            raise

    def _complete_reply(self, reply: Reply, bound: Bound) -> Reply:
        """The reply with what the provider does not say.

        That is who answered, where another model was asked, and the most that it can have cost, where tokens are not
        told.
        """
        if self.endpoint.price and not reply.prompt_tokens and reply.finish != REFUSED:
            reply = replace(reply, cost_usd=bound.usd)
        return replace(reply, model=self.endpoint.name) if self._stands_in else reply

    async def _settle(self, bound: Bound, begun: int | None, replies: ReplyStore) -> None:
        """Records a call that brought no reply and cost nothing."""
        if begun is not None:
            await replies.drop(begun)
        await self._rate_limiter.return_unused(bound.tokens)


def _count_tokens(waited: CallAttempted, reply: Reply, seconds: float) -> CallAttempted:
    """The event of an attempt that was answered."""
    return replace(
        waited,
        seconds=seconds,
        prompt_tokens=reply.prompt_tokens,
        completion_tokens=reply.completion_tokens,
        cost_usd=reply.cost_usd,
        refused=reply.finish == REFUSED,
    )
