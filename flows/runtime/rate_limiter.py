"""The rate limiter of a process: calls wait in a queue while one task at a time takes permits for them from Prefect."""

import asyncio
import math
import random
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
from prefect.client.orchestration import get_client
from prefect.exceptions import PrefectException
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from engine.errors import DefinitionError, ExemplarsError, OrchestratorError, Problem
from engine.gateway.rate_limit import NoRateLimit, RateLimiter
from engine.settings import Settings
from flows.runs.lease import Logger
from flows.runtime.minute_rate import MOST_AT_ONCE, SLACK_SECONDS, MinuteRate, Rate

REQUESTS, TOKENS = "exemplars:requests-per-minute", "exemplars:tokens-per-minute"
REQUEST_GRAIN, TOKEN_GRAIN = 1000, 100
# Tokens come back in lumps, so a little more of them may gather.
TOKENS_SAVED_SECONDS = 2.0
# Well within what a bucket saves up, so that nothing is lost by sleeping so long.
SHORT_SECONDS = 0.25
NEXT_SECONDS = 0.1
# One second of the slack is left for the way from here to the provider.
LAPSE_SECONDS = SLACK_SECONDS - 1.0
# Of what may gather in a limit while nobody asks: what a backfill leaves to runs that somebody waits for.
LEFT_SHARE = 0.5
ASK_SECONDS = 10.0
MAX_BACKOFF_SECONDS = 5.0
CLOSE_SECONDS = 5.0
# What Prefect's client answers by waiting two seconds and more, be it for nothing: a permit lapses meanwhile.
BUSY_STATUSES = frozenset({408, 429, 502, 503})


@asynccontextmanager
async def open_rate_limiter(settings: Settings, logger: Logger, yields: bool = False) -> AsyncIterator[RateLimiter]:
    """The rate limiter for calls to hosted models; it lets every call through where no rate is set.

    Args:
        yields: whether it leaves a part of what is free to other processes, so that these never wait behind it.
    """
    rates = list_rates(settings)
    if not rates:
        yield NoRateLimit()
        return
    at_once = {"response": [_raise_at_once]}
    async with get_client(httpx_settings={"timeout": ASK_SECONDS, "event_hooks": at_once}) as client:
        buckets = {rate.name: MinuteRate(client, rate, logger) for rate in rates}
        patience_seconds = settings.patience_seconds
        rate_limiter = PrefectRateLimiter(buckets.get(REQUESTS), buckets.get(TOKENS), patience_seconds, logger, yields)
        try:
            yield rate_limiter
        finally:
            await rate_limiter.close()


def list_rates(settings: Settings) -> list[Rate]:
    """The rates that the settings set: at most N + 1 requests, and at most N tokens, in any 60 seconds."""
    requests, tokens = settings.requests_per_minute, settings.tokens_per_minute
    rates = []
    if requests is not None:
        rates.append(Rate(REQUESTS, "EXEMPLARS_REQUESTS_PER_MINUTE", requests, REQUEST_GRAIN, extra=1))
    if tokens is not None:
        setting = "EXEMPLARS_TOKENS_PER_MINUTE"
        rates.append(Rate(TOKENS, setting, tokens, TOKEN_GRAIN, saved_seconds=TOKENS_SAVED_SECONDS))
    return rates


@dataclass(frozen=True, slots=True)
class _WaitingCall:
    """A call in the queue; ``tokens`` is 0 where none are counted."""

    tokens: int
    granted: asyncio.Future[None]


class _LatePermitError(Exception):
    """Permits came so late that they may not be used any more."""


class PrefectRateLimiter:
    """Lets the calls of one process through in the order in which they came; its methods belong to one event loop.

    With ``yields`` it takes nothing of the first half of what may gather in a limit. Processes without it ask as often
    and take all that is there: as long as they ask for the whole rate, that half never fills.
    """

    def __init__(
        self,
        requests: MinuteRate | None,
        tokens: MinuteRate | None,
        patience_seconds: float,
        logger: Logger,
        yields: bool = False,
    ) -> None:
        self._left_share = LEFT_SHARE if yields else 0.0
        self._requests = requests
        self._tokens = tokens
        self._patience_seconds = patience_seconds
        self._logger = logger
        self._queue: deque[_WaitingCall] = deque()
        self._unused_tokens = 0
        self._largest = 1
        self._requester: asyncio.Task[None] | None = None
        self._failing_since: float | None = None
        self._failures = 0

    async def acquire(self, tokens: int) -> None:
        """Waits for the permits of one call; a call that is cancelled while it waits leaves its place to the next.

        Raises:
            DefinitionError: the call needs more tokens than may be let through at once.
            OrchestratorError: Prefect's server has not answered for as long as a run waits.
        """
        needed = max(tokens, 1) if self._tokens is not None else 0
        caller = _WaitingCall(needed, asyncio.get_running_loop().create_future())
        self._queue.append(caller)
        self._request()
        try:
            await caller.granted
        except asyncio.CancelledError:
            if not caller.granted.cancelled() and caller.granted.exception() is None:
                await self.return_unused(needed)
            raise

    async def return_unused(self, tokens: int) -> None:
        """Returns tokens that a call did not use; they are sent to Prefect together with those of other calls."""
        if self._tokens is not None and tokens > 0:
            self._unused_tokens += tokens
            self._request()

    async def close(self) -> None:
        """Stops asking; returns what is still to be returned, without waiting for a server that is away."""
        if self._requester is not None:
            self._requester.cancel()
            await asyncio.wait([self._requester])
        for caller in self._queue:
            caller.granted.cancel()
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):
                    await self._return_units()
        except (TimeoutError, httpx.HTTPError, PrefectException) as error:
            self._logger.debug("Unused tokens were not given back: %r", error)

    def _request(self) -> None:
        if self._requester is None or self._requester.done():
            self._requester = asyncio.create_task(self._request_permits())

    async def _request_permits(self) -> None:
        """Asks Prefect as long as a call waits or tokens are to be returned."""
        with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):
            try:
                while self._drop_settled() or self._unused_tokens:
                    wait_seconds = await self._request_once()
                    await asyncio.sleep(wait_seconds)
            except ExemplarsError as error:
                self._reject_waiting(error)
            except Exception as error:
                self._logger.exception("The rate limiter failed")
                self._reject_waiting(OrchestratorError(f"Prefect's limits could not be asked: {error!r}"))

    async def _request_once(self) -> float:
        """Asks once. Returns the seconds until the next request."""
        try:
            await self._return_units()
            wait_seconds = await self._grant()
        except (httpx.HTTPError, PrefectException, _LatePermitError) as error:
            return self._handle_failure(error)
        self._failing_since, self._failures = None, 0
        return wait_seconds

    async def _grant(self) -> float:
        """Lets through as many calls as Prefect has permits for, the first of the queue first. Returns the seconds
        until the next request.
        """
        if not self._drop_settled():
            return SHORT_SECONDS
        free_requests, free_tokens = await self._count_free()
        count, tokens = self._count_fitting(free_requests, free_tokens)
        if not count:
            return self._choose_wait()
        asked_at = time.monotonic()
        if self._tokens is not None and (again := await self._tokens.take(tokens)) is not None:
            return max(again, SHORT_SECONDS)
        try:
            again = await self._requests.take(count) if self._requests is not None else None
        except httpx.HTTPStatusError:
            self._unused_tokens += tokens
            raise
        if again is not None:
            self._unused_tokens += tokens
            return max(again, SHORT_SECONDS)
        if time.monotonic() - asked_at > LAPSE_SECONDS:
            self._unused_tokens += tokens
            late_seconds = time.monotonic() - asked_at
            raise _LatePermitError(f"a permit came after {late_seconds:.1f} s and may not be used any more")
        self._grant_to(count, tokens)
        return NEXT_SECONDS

    async def _count_free(self) -> tuple[float, float]:
        """The requests and the tokens that are free now."""
        free_tokens = free_requests = float("inf")
        if self._tokens is not None:
            self._reject_too_large(self._tokens.rate)
            free_tokens = await self._tokens.count_free(self._largest) - self._left_share * self._tokens.rate.saved
        if self._requests is not None:
            free_requests = await self._requests.count_free(1) - self._count_left_to_others(self._requests.rate)
        return free_requests, free_tokens

    def _count_left_to_others(self, rate: Rate) -> float:
        """The requests that are left to other processes; none where a call would not fit any more even when nothing is
        in use.
        """
        left = self._left_share * rate.saved
        return left if math.floor(1 + rate.saved) - left >= 1 else 0.0

    def _reject_too_large(self, rate: Rate) -> None:
        for caller in self._queue:
            if caller.tokens > rate.most_at_once and not caller.granted.done():
                caller.granted.set_exception(_explain_too_large(rate, caller.tokens))
        self._largest = max([self._largest, *(caller.tokens for caller in self._drop_settled())])

    def _count_fitting(self, requests: float, tokens: float) -> tuple[int, int]:
        """How many calls from the head of the queue fit, and their tokens."""
        count = total = 0
        for caller in self._queue:
            if count + 1 > requests or total + caller.tokens > tokens:
                break
            count, total = count + 1, total + caller.tokens
        return count, total

    def _grant_to(self, count: int, tokens: int) -> None:
        """Lets calls through; one that was cancelled meanwhile leaves its permit to the next."""
        for caller in list(self._drop_settled())[:count]:
            if caller.tokens > tokens:
                break
            tokens -= caller.tokens
            caller.granted.set_result(None)
        self._unused_tokens += tokens

    def _choose_wait(self) -> float:
        seconds = self._requests.wait_seconds() if self._requests is not None else 0.0
        if self._tokens is not None:
            # Others may give back theirs long before so many have decayed.
            seconds = max(seconds, self._tokens.wait_seconds() / 4)
        # Those who share a limit must not all come at the same instant.
        return max(seconds, 0.0) + random.uniform(0.0, SHORT_SECONDS)

    async def _return_units(self) -> None:
        if self._tokens is None or not self._unused_tokens:
            return
        tokens, self._unused_tokens = self._unused_tokens, 0
        try:
            await self._tokens.return_units(tokens)
        except httpx.HTTPStatusError:
            # Refused, so nothing was given back; where no answer comes they may have been, and are not given twice.
            self._unused_tokens += tokens
            raise

    def _drop_settled(self) -> deque[_WaitingCall]:
        """The queue without the calls that were let through, rejected or cancelled."""
        if any(caller.granted.done() for caller in self._queue):
            self._queue = deque(caller for caller in self._queue if not caller.granted.done())
        return self._queue

    def _handle_failure(self, error: Exception) -> float:
        """Backoff in seconds after a failed request to Prefect.

        Raises:
            OrchestratorError: the next requests would fail too, or have failed for as long as a run waits.
        """
        now = time.monotonic()
        if self._failing_since is None:
            self._failing_since = now
        said = str(error) or type(error).__name__
        if not _may_pass(error) or now - self._failing_since >= self._patience_seconds:
            raise OrchestratorError(
                f"Prefect's server keeps the limits on calls and does not answer as it should: {said}. Nothing is "
                "called without it. See to the server and start again: the replies are kept"
            ) from error
        self._failures += 1
        if self._failures == 3:
            self._logger.warning("Calls wait up to %.0f s for Prefect's server: %s", self._patience_seconds, said)
        return min(MAX_BACKOFF_SECONDS, 0.1 * 2.0 ** min(self._failures, 10)) * random.uniform(0.5, 1.0)

    def _reject_waiting(self, error: ExemplarsError) -> None:
        """Raises an error in every call that waits."""
        self._unused_tokens = 0
        self._failing_since, self._failures = None, 0
        for caller in self._drop_settled():
            caller.granted.set_exception(error)
        self._queue.clear()


def _may_pass(error: Exception) -> bool:
    if not isinstance(error, httpx.HTTPStatusError):
        return True
    status = int(error.response.status_code)
    return status >= 500 or status in BUSY_STATUSES


async def _raise_at_once(response: httpx.Response) -> None:
    if response.status_code in BUSY_STATUSES:
        response.raise_for_status()


def _explain_too_large(rate: Rate, tokens: int) -> DefinitionError:
    allowed = f"{math.ceil(tokens / MOST_AT_ONCE)} or more: one call may use {tokens:,} tokens, and takes at most " + (
        f"{MOST_AT_ONCE:.0%} of a minute's"
    )
    return DefinitionError("environment", [Problem("environment", None, rate.setting, str(rate.per_minute), allowed)])
