"""The turnstile of a run: calls wait in line, and one asker at a time gets permits for them from Prefect's limits."""

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
    """The turnstile for what a run asks of hosted models; it lets everybody in where no limit is set.

    Args:
        yields: leaves a part of what is free to others, so that these never wait behind it.
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
    """The rates that are set: at most N + 1 requests, and at most N tokens, in any 60 seconds."""
    requests, tokens = settings.requests_per_minute, settings.tokens_per_minute
    rates = []
    if requests is not None:
        rates.append(Rate(REQUESTS, "EXEMPLARS_REQUESTS_PER_MINUTE", requests, REQUEST_GRAIN, extra=1))
    if tokens is not None:
        setting = "EXEMPLARS_TOKENS_PER_MINUTE"
        rates.append(Rate(TOKENS, setting, tokens, TOKEN_GRAIN, saved_seconds=TOKENS_SAVED_SECONDS))
    return rates


@dataclass(frozen=True, slots=True)
class _Caller:
    """One call in the line; ``tokens`` is 0 where none are counted."""

    tokens: int
    let_in: asyncio.Future[None]


class _LateError(Exception):
    """Permits came so late that they may not be used any more."""


class PrefectRateLimiter:
    """The callers of one process, first come, first served; its methods belong to one event loop.

    Whoever ``yields`` takes nothing of the first half of what may gather. Others, who look as often, take all that is
    there: as long as they ask for the whole rate that half never fills.
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
        self._line: deque[_Caller] = deque()
        self._unused_tokens = 0
        self._largest = 1
        self._asker: asyncio.Task[None] | None = None
        self._failing_since: float | None = None
        self._failures = 0

    async def enter(self, tokens: int) -> None:
        """As ``RateLimiter.enter``; whoever is cancelled while it waits leaves its place to the next.

        Raises:
            DefinitionError: the call needs more tokens than may be let in at once.
            OrchestratorError: Prefect's server does not answer for as long as a run waits.
        """
        needed = max(tokens, 1) if self._tokens is not None else 0
        caller = _Caller(needed, asyncio.get_running_loop().create_future())
        self._line.append(caller)
        self._ask()
        try:
            await caller.let_in
        except asyncio.CancelledError:
            if not caller.let_in.cancelled() and caller.let_in.exception() is None:
                await self.give_back(needed)
            raise

    async def give_back(self, tokens: int) -> None:
        """As ``RateLimiter.give_back``; they are sent to Prefect together with others'."""
        if self._tokens is not None and tokens > 0:
            self._unused_tokens += tokens
            self._ask()

    async def close(self) -> None:
        """Ends the asker; gives back what is still to be given back, but does not wait for a server that is away."""
        if self._asker is not None:
            self._asker.cancel()
            await asyncio.wait([self._asker])
        for caller in self._line:
            caller.let_in.cancel()
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):
                    await self._put_back()
        except (TimeoutError, httpx.HTTPError, PrefectException) as error:
            self._logger.debug("Unused tokens were not given back: %r", error)

    def _ask(self) -> None:
        if self._asker is None or self._asker.done():
            self._asker = asyncio.create_task(self._ask_for_all())

    async def _ask_for_all(self) -> None:
        """The asker: it asks Prefect as long as somebody is in the line or something is to be given back."""
        with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):
            try:
                while self._clear_line() or self._unused_tokens:
                    wait_seconds = await self._ask_once()
                    await asyncio.sleep(wait_seconds)
            except ExemplarsError as error:
                self._send_away(error)
            except Exception as error:
                self._logger.exception("The turnstile broke")
                self._send_away(OrchestratorError(f"Prefect's limits could not be asked: {error!r}"))

    async def _ask_once(self) -> float:
        """One go; the seconds until the next."""
        try:
            await self._put_back()
            wait_seconds = await self._let_in()
        except (httpx.HTTPError, PrefectException, _LateError) as error:
            return self._bear(error)
        self._failing_since, self._failures = None, 0
        return wait_seconds

    async def _let_in(self) -> float:
        """Lets in as many as Prefect has permits for, from the head of the line; the seconds until the next go."""
        if not self._clear_line():
            return SHORT_SECONDS
        free_requests, free_tokens = await self._look()
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
            raise _LateError(f"a permit came after {time.monotonic() - asked_at:.1f} s and may not be used any more")
        self._hand_out(count, tokens)
        return NEXT_SECONDS

    async def _look(self) -> tuple[float, float]:
        """The requests and the tokens that are free now."""
        free_tokens = free_requests = float("inf")
        if self._tokens is not None:
            self._refuse_too_large(self._tokens.rate)
            free_tokens = await self._tokens.look(self._largest) - self._left_share * self._tokens.rate.saved
        if self._requests is not None:
            free_requests = await self._requests.look(1) - self._leave(self._requests.rate)
        return free_requests, free_tokens

    def _leave(self, rate: Rate) -> float:
        """The requests that are left to others; none where one would not fit any more even when nothing is in use."""
        left = self._left_share * rate.saved
        return left if math.floor(1 + rate.saved) - left >= 1 else 0.0

    def _refuse_too_large(self, rate: Rate) -> None:
        for caller in self._line:
            if caller.tokens > rate.most_at_once and not caller.let_in.done():
                caller.let_in.set_exception(_explain_too_large(rate, caller.tokens))
        self._largest = max([self._largest, *(caller.tokens for caller in self._clear_line())])

    def _count_fitting(self, requests: float, tokens: float) -> tuple[int, int]:
        """How many from the head of the line fit, and their tokens."""
        count = total = 0
        for caller in self._line:
            if count + 1 > requests or total + caller.tokens > tokens:
                break
            count, total = count + 1, total + caller.tokens
        return count, total

    def _hand_out(self, count: int, tokens: int) -> None:
        """Lets callers in; who was cancelled meanwhile leaves its permit to the next."""
        for caller in list(self._clear_line())[:count]:
            if caller.tokens > tokens:
                break
            tokens -= caller.tokens
            caller.let_in.set_result(None)
        self._unused_tokens += tokens

    def _choose_wait(self) -> float:
        seconds = self._requests.wait_seconds() if self._requests is not None else 0.0
        if self._tokens is not None:
            # Others may give back theirs long before so many have decayed.
            seconds = max(seconds, self._tokens.wait_seconds() / 4)
        # Those who share a limit must not all come at the same instant.
        return max(seconds, 0.0) + random.uniform(0.0, SHORT_SECONDS)

    async def _put_back(self) -> None:
        if self._tokens is None or not self._unused_tokens:
            return
        tokens, self._unused_tokens = self._unused_tokens, 0
        try:
            await self._tokens.put_back(tokens)
        except httpx.HTTPStatusError:
            # Refused, so nothing was given back; where no answer comes they may have been, and are not given twice.
            self._unused_tokens += tokens
            raise

    def _clear_line(self) -> deque[_Caller]:
        """The line without those who were let in, sent away or cancelled."""
        if any(caller.let_in.done() for caller in self._line):
            self._line = deque(caller for caller in self._line if not caller.let_in.done())
        return self._line

    def _bear(self, error: Exception) -> float:
        """The seconds until the next go, where one failed.

        Raises:
            OrchestratorError: the next ones would fail too, or have done so for as long as a run waits.
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

    def _send_away(self, error: ExemplarsError) -> None:
        """Tells everybody in the line that nothing comes of waiting."""
        self._unused_tokens = 0
        self._failing_since, self._failures = None, 0
        for caller in self._clear_line():
            caller.let_in.set_exception(error)
        self._line.clear()


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
