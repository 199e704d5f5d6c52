"""The rate limiter of a process: calls wait in a queue while one task at a time takes permits for them from Prefect."""

import asyncio
import math
import random
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import accumulate
from typing import NamedTuple

import httpx
from prefect.client.orchestration import get_client
from prefect.exceptions import PrefectException
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from engine.errors import DefinitionError, OrchestratorError, Problem
from engine.llm.gateway.rate_limit import NoRateLimit, RateLimiter
from engine.settings import Settings
from flows.run.lease.lease import Logger
from flows.run.rates.minute_rate import MOST_AT_ONCE, SLACK_SECONDS, MinuteRate, Rate

REQUESTS, TOKENS = "exemplars:requests-per-minute", "exemplars:tokens-per-minute"
# Permits that took longer are not used: one second of the slack is left for the way from here to the provider.
LAPSE_SECONDS = SLACK_SECONDS - 1.0
NEXT_SECONDS, JITTER_SECONDS = 0.1, 0.25
ASK_SECONDS, CLOSE_SECONDS, MAX_BACKOFF_SECONDS = 10.0, 5.0, 5.0
# What Prefect's client answers by waiting two seconds and more, be it for nothing: a permit lapses meanwhile.
BUSY_STATUSES = frozenset({408, 429, 502, 503})
MAY_PASS = (TimeoutError, httpx.HTTPError, PrefectException)


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
        limits = [MinuteRate(client, rate, logger, yields) for rate in rates]
        rate_limiter = PrefectRateLimiter(limits, settings.patience_seconds, logger)
        try:
            yield rate_limiter
        finally:
            await rate_limiter.close()


def list_rates(settings: Settings) -> list[Rate]:
    """The rates that the settings set; tokens come first, since those that were taken in vain are given back."""
    requests, tokens = settings.requests_per_minute, settings.tokens_per_minute
    rates = []
    if tokens is not None:
        rates.append(Rate(TOKENS, "EXEMPLARS_TOKENS_PER_MINUTE", tokens, grain=100, counts_tokens=True))
    if requests is not None:
        rates.append(Rate(REQUESTS, "EXEMPLARS_REQUESTS_PER_MINUTE", requests, grain=1000))
    return rates


class _WaitingCall(NamedTuple):
    tokens: int
    granted: asyncio.Future[None]


class PrefectRateLimiter:
    """Lets the calls of one process through in the order in which they came; its methods belong to one event loop."""

    def __init__(self, limits: Sequence[MinuteRate], patience_seconds: float, logger: Logger) -> None:
        self._limits = limits
        self._patience_seconds = patience_seconds
        self._logger = logger
        self._queue: list[_WaitingCall] = []
        self._asking: asyncio.Task[None] | None = None

    async def acquire(self, tokens: int) -> None:
        """Waits for the permits of one call; a call that is cancelled while it waits leaves its place to the next.

        Raises:
            DefinitionError: the call needs more tokens than may be let through at once.
            OrchestratorError: Prefect's server has not answered for as long as a run waits.
        """
        granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append(_WaitingCall(tokens, granted))
        self._ask()
        try:
            await granted
        except asyncio.CancelledError:
            if not granted.cancelled() and granted.exception() is None:
                await self.return_unused(tokens)
            raise

    async def return_unused(self, tokens: int) -> None:
        """Returns tokens that a call did not use; they are sent to Prefect together with those of other calls."""
        for limit in self._limits:
            if limit.rate.counts_tokens and tokens > 0:
                limit.in_hand += tokens
                self._ask()

    async def close(self) -> None:
        """Stops asking; gives back what is in hand, without waiting for a server that is away."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.wait([self._asking])
        for call in self._list_waiting():
            call.granted.cancel()
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):
                    await self._give_back()
        except MAY_PASS as error:
            self._logger.debug("Unused tokens were not given back: %r", error)

    def _ask(self) -> None:
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask_while_needed())

    async def _ask_while_needed(self) -> None:
        """Asks Prefect as long as a call waits or something is in hand; again after a failure, with growing pauses."""
        failures, failing_since = 0, 0.0
        with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):
            while self._list_waiting() or any(limit.in_hand for limit in self._limits):
                try:
                    await self._give_back()
                    seconds, failures = await self._grant(), 0
                except Exception as error:
                    failures, now = failures + 1, time.monotonic()
                    failing_since = now if failures == 1 else failing_since
                    if not _may_pass(error) or now - failing_since >= self._patience_seconds:
                        self._reject_all(error)
                        return
                    if failures == 3:
                        text = "Calls wait up to %.0f s for Prefect's server: %s"
                        self._logger.warning(text, self._patience_seconds, str(error) or type(error).__name__)
                    seconds = min(MAX_BACKOFF_SECONDS, 0.1 * 2.0 ** min(failures, 10)) * random.uniform(0.5, 1.0)
                await asyncio.sleep(seconds)

    async def _grant(self) -> float:
        """Lets through as many calls as there are permits for, the first of the queue first. Returns the seconds until
        the next look.
        """
        calls = self._list_waiting()
        for limit in self._limits:
            calls = _reject_too_large(calls, limit.rate)
            units = [limit.rate.count_units(call.tokens) for call in calls]
            if not calls:
                return JITTER_SECONDS
            free, wait_seconds = await limit.count_free(max(units))
            calls = [call for call, total in zip(calls, accumulate(units), strict=True) if total <= free]
            if not calls:
                # Others may give tokens back long before so many decay; and those who share must not come all at once.
                return wait_seconds / (4 if limit.rate.counts_tokens else 1) + random.uniform(0.0, JITTER_SECONDS)
        try:
            async with asyncio.timeout(LAPSE_SECONDS):
                for limit in self._limits:
                    if not await limit.take(sum(limit.rate.count_units(call.tokens) for call in calls)):
                        return JITTER_SECONDS
        except TimeoutError as error:
            raise TimeoutError(f"a permit took more than {LAPSE_SECONDS:.0f} s and may not be used any more") from error
        # A call that was cancelled meanwhile leaves its permit to the next.
        for call in self._list_waiting():
            needs = {limit: limit.rate.count_units(call.tokens) for limit in self._limits}
            if any(needed > limit.in_hand for limit, needed in needs.items()):
                break
            for limit, needed in needs.items():
                limit.in_hand -= needed
            call.granted.set_result(None)
        return NEXT_SECONDS

    async def _give_back(self) -> None:
        for limit in self._limits:
            await limit.give_back()

    def _list_waiting(self) -> list[_WaitingCall]:
        """The queue, without the calls that were let through, rejected or cancelled."""
        self._queue = [call for call in self._queue if not call.granted.done()]
        return self._queue

    def _reject_all(self, error: Exception) -> None:
        ended = OrchestratorError(
            "Prefect's server keeps the limits on calls and does not answer as it should: "
            f"{str(error) or type(error).__name__}. Nothing is called without it. See to the server and start again: "
            "the replies are kept"
        )
        ended.__cause__ = error
        for limit in self._limits:
            limit.in_hand = 0
        for call in self._list_waiting():
            call.granted.set_exception(ended)


def _reject_too_large(calls: Sequence[_WaitingCall], rate: Rate) -> list[_WaitingCall]:
    """The calls that may be let through at this rate; the others are refused."""
    for call in calls:
        if rate.count_units(call.tokens) > rate.most_at_once and not call.granted.done():
            allowed = (
                f"{math.ceil(call.tokens / MOST_AT_ONCE)} or more: one call may use {call.tokens:,} tokens, and takes "
                f"at most {MOST_AT_ONCE:.0%} of a minute's"
            )
            problem = Problem("environment", None, rate.setting, str(rate.per_minute), allowed)
            call.granted.set_exception(DefinitionError("environment", [problem]))
    return [call for call in calls if not call.granted.done()]


def _may_pass(error: Exception) -> bool:
    status = int(error.response.status_code) if isinstance(error, httpx.HTTPStatusError) else 0
    return isinstance(error, MAY_PASS) and (status in BUSY_STATUSES or not 400 <= status < 500)


async def _raise_at_once(response: httpx.Response) -> None:
    if response.status_code in BUSY_STATUSES:
        response.raise_for_status()
