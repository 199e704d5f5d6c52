"""Asking: a request is answered from what is kept, or called for, by a fallback where the synth model has no answer."""

import hashlib
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict

from engine.domain.progress import CallBegun, CallEnded, Noticed, Progress
from engine.errors import ProviderError, RetryableProviderError, StoreError
from engine.gateway.budget import RunBudget
from engine.gateway.rate_limit import NoRateLimit, RateLimiter
from engine.gateway.retrying import ENDING, GONE, MAX_ATTEMPTS, Caller
from engine.gateway.throttle import AdaptiveThrottle
from engine.llm.request import Client, Endpoint, Reply, Request
from engine.replies.replies import ReplyStore, open_replies
from engine.settings import RepliesPlace
from engine.system.log_context import log_context

PATIENCE_SECONDS = 300.0


class ModelGateway:
    """Everything that one run asks of one model goes through here, within the limits that its models share.

    Args:
        place: where replies are kept.
        fallbacks: who is asked, in order, where the one before has no answer.
        patience_seconds: how long a provider that answers nothing is waited for.
        find_pace: the pace of a model that others in this process ask too; None where each has one of its own.
    """

    def __init__(
        self,
        client: Client,
        place: RepliesPlace,
        progress: Progress,
        budget: RunBudget,
        wait_seconds: float = 0.5,
        attempts: int = MAX_ATTEMPTS,
        fallbacks: Sequence[Client] = (),
        rate_limiter: RateLimiter | None = None,
        patience_seconds: float = PATIENCE_SECONDS,
        find_throttle: Callable[[Endpoint], AdaptiveThrottle] | None = None,
    ) -> None:
        self.endpoint = client.endpoint
        self.budget = budget
        self._place = place
        self._kept: ReplyStore | None = None
        self._progress = progress
        self._left: list[Caller] = []

        def make_throttle(endpoint: Endpoint) -> AdaptiveThrottle:
            return AdaptiveThrottle(endpoint.slots or budget.concurrency, patience_seconds, self._notice)

        self._callers = [
            Caller(
                each,
                budget,
                rate_limiter or NoRateLimit(),
                (find_throttle or make_throttle)(each.endpoint),
                wait_seconds,
                attempts,
                stands_in=each is not client,
                report=progress.report,
            )
            for each in (client, *fallbacks)
        ]

    @asynccontextmanager
    async def keeping(self, plan_id: str, handle: str = "") -> AsyncIterator[None]:
        """Replies are kept under this plan inside the block; nothing can be asked outside of one.

        Raises:
            StoreError: they cannot be kept, or those that other machines have kept cannot be read.
        """
        async with open_replies(self._place, plan_id, handle, self._notice) as kept:
            self.budget.open_plan(plan_id, kept.kept_usd, kept.lost)
            self._kept = kept
            try:
                yield
            finally:
                self._kept = None

    @asynccontextmanager
    async def holding(self, plan_id: str) -> AsyncIterator[None]:
        """Inside the block the replies of another plan are in use here, and are not dropped for want of it."""
        async with open_replies(self._place.local, plan_id):
            yield

    async def ask(self, label: str, request: Request) -> Reply:
        """The reply to a request. ``label`` tells apart two askings of the same words.

        Raises:
            RetryableProviderError, RequestRefusedError: this call failed for good, though others may succeed.
            BudgetError: one more call could cost more than the run may.
            ProviderError: nothing will come of any call.
            StoreError: the reply cannot be kept.
        """
        key = self._make_key(label, request)
        replies = self._kept
        if replies is None:
            raise StoreError("Nothing may be asked where replies are not kept: open Asker.keeping first")
        kept = replies.find(key)
        if kept is not None:
            self._callers[0].answered |= kept.model is None
            self.budget.count(kept, reused=True, endpoint=self.endpoint)
            self._progress.report(CallEnded(kept.completion_tokens, reused=True))
            return kept
        shown = _Shown(self._progress)
        try:
            with log_context(call=label):
                reply = await self._call(request, key, replies, shown)
        except BaseException as error:
            self.budget.ends = self.budget.ends or isinstance(error, ENDING)
            shown.end(CallEnded(failed=True))
            raise
        shown.end(CallEnded(reply.completion_tokens))
        return reply

    async def _call(self, request: Request, key: str, replies: ReplyStore, shown: "_Shown") -> Reply:
        for caller in self._callers[:-1]:
            try:
                return await caller.call(request, key, replies, shown.begin)
            except (RetryableProviderError, *GONE) as error:
                self._leave(caller, error)
        return await self._callers[-1].call(request, key, replies, shown.begin)

    def _leave(self, caller: Caller, error: ProviderError) -> None:
        """Says, once, that another model is asked for good."""
        if isinstance(error, GONE) and caller not in self._left:
            self._left.append(caller)
            self._notice(f"{error}. From now on a fallback is asked in its place")

    def _notice(self, text: str) -> None:
        self._progress.report(Noticed(text))

    def _make_key(self, label: str, request: Request) -> str:
        parts = [label, self.endpoint.identity, json.dumps(asdict(request), sort_keys=True, ensure_ascii=False)]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()


class _Shown:
    """One call as the progress has it: in flight from its first try until its end, whoever is asked."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._begun = False

    def begin(self) -> None:
        """Reports the first of its tries."""
        if not self._begun:
            self._begun = True
            self._progress.report(CallBegun())

    def end(self, ended: CallEnded) -> None:
        """Reports its end; what was never in flight begins with it."""
        self.begin()
        self._progress.report(ended)
