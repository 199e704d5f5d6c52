"""Asking: a request is answered from what is kept, or called with retries, within the limits of the run."""

import asyncio
import hashlib
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import Protocol

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from engine.errors import (
    ContentRefusedError,
    ProviderError,
    RateLimitedError,
    RequestRefusedError,
    RetryableProviderError,
    StoreError,
)
from engine.limits import Limits
from engine.llm import Endpoint, Request
from engine.progress import CallBegun, CallEnded, Progress
from engine.prompting import write_words_only
from engine.replies import KeptReplies, Reply

MAX_ATTEMPTS = 8
MAX_WAIT_SECONDS = 60.0
REFUSED = "content_filter"
# Before anything has answered there is no reason to think that anything will: give up sooner, by the number of tries
# or, where one of them takes long, by the time since the first.
MAX_FIRST_ATTEMPTS = 4
MAX_FIRST_SECONDS = 10.0


class Client(Protocol):
    """What can be asked: litellm in a run, a fake in the tests."""

    endpoint: Endpoint

    async def complete(self, request: Request) -> Reply:
        """One reply, asked once; see ``LitellmClient.complete``."""


class Asker:
    """Everything that one run asks of one model goes through here, within the limits that its models share."""

    def __init__(
        self,
        client: Client,
        cache_dir: str,
        progress: Progress,
        limits: Limits,
        wait_seconds: float = 0.5,
        attempts: int = MAX_ATTEMPTS,
    ) -> None:
        self.endpoint = client.endpoint
        self.limits = limits
        self._client = client
        self._cache_dir = cache_dir
        self._kept: KeptReplies | None = None
        self._progress = progress
        self._slots = asyncio.Semaphore(client.endpoint.slots or limits.concurrency)
        self._alone = asyncio.Lock()
        self._priced = False
        self._wait = wait_random_exponential(multiplier=wait_seconds, max=MAX_WAIT_SECONDS)
        self._attempts = attempts
        self._answered = False
        self._schema_in_words = False

    @contextmanager
    def keeping(self, plan_id: str) -> Iterator[None]:
        """Replies are kept under this plan inside the block; nothing can be asked outside of one.

        Raises:
            StoreError: they cannot be kept.
        """
        with KeptReplies(self._cache_dir, plan_id) as kept:
            self._kept = kept
            try:
                yield
            finally:
                self._kept = None

    async def ask(self, label: str, request: Request) -> Reply:
        """The reply to a request. ``label`` tells apart two askings of the same words.

        Raises:
            BudgetError: one more call could cost more than the run may.
            RetryableProviderError: all attempts at this call failed, though others succeed.
            ProviderError: nothing will come of any call.
            StoreError: the reply cannot be kept.
        """
        key = self._make_key(label, request)
        replies = self._kept
        if replies is None:
            raise StoreError("Nothing may be asked where replies are not kept: open Asker.keeping first")
        async with self._slots, self.limits.in_flight:
            if self.limits.max_cost_usd is not None and not self._priced:
                # Before its first reply nobody knows what a model costs: under a limit it is asked for alone.
                async with self._alone:
                    if not self._priced:
                        return await self._find_or_call(replies, key, request)
            return await self._find_or_call(replies, key, request)

    async def _find_or_call(self, replies: KeptReplies, key: str, request: Request) -> Reply:
        kept = replies.find(key)
        if kept is not None:
            self._count(kept, reused=True)
            return kept
        async with self.limits.spending():
            self._progress.report(CallBegun())
            try:
                reply = await replies.keep(key, await self._call(request))
            except BaseException:
                self._progress.report(CallEnded(failed=True))
                raise
            self._count(reply, reused=False)
        return reply

    async def _call(self, request: Request) -> Reply:
        attempts = AsyncRetrying(
            retry=retry_if_exception_type(RetryableProviderError),
            stop=stop_after_attempt(self._attempts),
            wait=self._choose_wait,
            reraise=True,
        )
        async for attempt in attempts:
            with attempt:
                try:
                    reply = await self._call_once(request)
                except ContentRefusedError as error:
                    # A refusal is an answer: kept like any other, and not asked for again.
                    reply = Reply(text=str(error), finish=REFUSED)
                except RetryableProviderError as error:
                    self._give_up_early(error, attempt.retry_state)
                    raise
                self._answered = True
                return reply
        raise AssertionError("tenacity ends by a reply or an exception")

    async def _call_once(self, request: Request) -> Reply:
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

    def _give_up_early(self, error: RetryableProviderError, state: RetryCallState) -> None:
        attempt = state.attempt_number
        # Who limits the rate is there, and says when to come back.
        late = time.monotonic() - state.start_time > MAX_FIRST_SECONDS and not isinstance(error, RateLimitedError)
        if not self._answered and (attempt >= MAX_FIRST_ATTEMPTS or late):
            times = "once" if attempt == 1 else f"{attempt} times"
            raise ProviderError(f"{error} (asked {times}, no call has been answered)") from error

    def _choose_wait(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = error.retry_after_seconds if isinstance(error, RetryableProviderError) else None
        # Jitter is added on top of Retry-After, so that those who were sent away do not all come back at once.
        return min(asked, MAX_WAIT_SECONDS) + self._wait(state) / 10 if asked is not None else self._wait(state)

    def _count(self, reply: Reply, reused: bool) -> None:
        self._priced = True
        self.limits.count(reply, reused)
        self._progress.report(CallEnded(reply.completion_tokens, reused))

    def _make_key(self, label: str, request: Request) -> str:
        parts = [label, self.endpoint.identity, json.dumps(asdict(request), sort_keys=True, ensure_ascii=False)]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()
