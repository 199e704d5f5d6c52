"""Rates per minute that all runs and machines share. Each is a global concurrency limit of Prefect with slot decay.

A limit of ``room`` slots that decay at ``decay`` a second lets in at most ``room + decay * T`` during any ``T`` seconds
of the database's clock. Both are chosen so that this is the rate for a minute and ``SLACK_SECONDS``, the time that may
pass between the grant and the call (docs/decisions/008-replies.md).
"""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import httpx
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate, GlobalConcurrencyLimitUpdate
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound, PrefectException

from engine.errors import DefinitionError, OrchestratorError, Problem
from engine.llm.gateway.metered import RateLimiter
from engine.settings import Settings
from flows.observability.logs import Logger

REQUESTS, TOKENS = "exemplars:requests-per-minute", "exemplars:tokens-per-minute"
SLACK_SECONDS = 3.0
WINDOW_SECONDS = 60.0 + SLACK_SECONDS
# A permit that took longer is not used: one second of the slack is reserved for the way to the provider.
LAPSE_SECONDS = SLACK_SECONDS - 1.0
# How much an idle limit may save up: a caller that asks this much later than possible loses nothing.
SAVED_SECONDS = 2.0
# A call that takes a larger share of a minute would leave too little for other calls in it.
MOST_AT_ONCE = 0.75
ASK_SECONDS, AGAIN_SECONDS, RETURN_SECONDS, CLOSE_SECONDS = 10.0, 1.0, 0.1, 5.0
LOCKED, TOO_MANY = 423, 422
# At these statuses, Prefect's client waits two seconds or more; a permit lapses during the wait.
BUSY_STATUSES = frozenset({408, 429, 502, 503})
FAILURES = (TimeoutError, httpx.HTTPError, PrefectException)


@dataclass(frozen=True, slots=True)
class Rate:
    """At most ``per_minute`` requests or tokens in any 60 seconds, and one more.

    Args:
        setting: the environment variable that sets the rate.
        grain: slots for one unit. Each grant rounds the decay down to whole slots in Prefect: small slots lose little.
    """

    name: str
    setting: str
    per_minute: int
    grain: int

    @property
    def most_at_once(self) -> int:
        """Return the largest number of units for one call."""
        return max(1, int(self.per_minute * MOST_AT_ONCE))

    def count_units(self, tokens: int) -> int:
        """Return the units that a call with this many tokens takes."""
        return max(tokens, 1) if self.name == TOKENS else 1

    def shape(self, largest: int) -> tuple[int, float]:
        """Return the limit's slots, and their decay in slots a second, for a largest call of this many units.

        The units are rounded up to a power of two: otherwise each slightly larger call would reshape the limit.
        """
        saved = int(self.grain * self.per_minute * SAVED_SECONDS / 60)
        room = self.grain * min(1 << (largest - 1).bit_length(), self.most_at_once) + saved
        return room, (self.grain * (self.per_minute + 1) - room) / WINDOW_SECONDS


@asynccontextmanager
async def open_rate_limiter(settings: Settings, logger: Logger) -> AsyncIterator[RateLimiter]:
    """Yield the rate limiter for calls to hosted models. It lets every call through if no rate is set."""
    rates = list_rates(settings)
    if not rates:
        yield RateLimiter()
        return
    at_once = {"response": [_raise_at_once]}
    async with get_client(httpx_settings={"timeout": ASK_SECONDS, "event_hooks": at_once}) as client:
        rate_limiter = PrefectRateLimiter(client, rates, settings.patience_seconds, logger)
        try:
            yield rate_limiter
        finally:
            await rate_limiter.close()


def list_rates(settings: Settings) -> list[Rate]:
    """Return the rates of the settings. Tokens come first, because they can be returned if the request limit fails."""
    rates = (
        (TOKENS, "EXEMPLARS_TOKENS_PER_MINUTE", settings.tokens_per_minute, 100),
        (REQUESTS, "EXEMPLARS_REQUESTS_PER_MINUTE", settings.requests_per_minute, 1000),
    )
    return [Rate(name, setting, number, grain) for name, setting, number, grain in rates if number is not None]


@dataclass(eq=False)
class PrefectRateLimiter(RateLimiter):
    """Let the calls of one process through in their order of arrival. Only one call asks Prefect at a time."""

    _client: PrefectClient
    _rates: Sequence[Rate]
    _patience_seconds: float
    _logger: Logger
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _shaped: set[str] = field(default_factory=set)
    _unused_tokens: int = 0
    _returning: asyncio.Task[None] | None = None
    _ended: OrchestratorError | None = None

    async def acquire(self, tokens: int) -> None:
        """Wait for the permits of one call. A call that is cancelled while it waits leaves its place to the next.

        Raises:
            DefinitionError: the call needs more tokens than the rate allows at once.
            OrchestratorError: Prefect's server has not answered for as long as a run waits.
        """
        for rate in self._rates:
            if rate.count_units(tokens) > rate.most_at_once:
                allowed = (
                    f"{math.ceil(tokens / MOST_AT_ONCE)} or more: one call may use {tokens:,} tokens, and takes "
                    f"at most {MOST_AT_ONCE:.0%} of a minute's"
                )
                mistake = Problem("environment", None, rate.setting, str(rate.per_minute), allowed)
                raise DefinitionError("environment", [mistake])
        async with self._turn:
            taken = 0
            try:
                for rate in self._rates:
                    await self._take(rate, rate.count_units(tokens))
                    taken = tokens
            except BaseException:
                await self.return_unused(taken)
                raise

    async def return_unused(self, tokens: int) -> None:
        """Return unused tokens of a call to the limit; Prefect receives the tokens of several calls at once."""
        if tokens > 0 and self._rates[0].name == TOKENS:
            self._unused_tokens += tokens
            if self._returning is None or self._returning.done():
                self._returning = asyncio.create_task(self._send_unused(RETURN_SECONDS))

    async def close(self) -> None:
        """Send the unused tokens, for at most ``CLOSE_SECONDS``: a server that is away must not block the end."""
        if self._returning is not None:
            self._returning.cancel()
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._send_unused(0.0)

    async def _take(self, rate: Rate, units: int) -> None:
        """Take the units of one call from a limit, as Prefect's ``rate_limit`` does. If the server does not answer, ask
        again for as long as a run waits.
        """
        failing_since = None
        while True:
            if self._ended is not None:
                raise self._ended
            try:
                if await self._ask(rate, units):
                    return
                failing_since = None
            except FAILURES as error:
                failing_since = failing_since or time.monotonic()
                reason = str(error) or type(error).__name__
                if time.monotonic() - failing_since >= self._patience_seconds:
                    self._ended = OrchestratorError(
                        f"Prefect's server keeps the limits on calls and does not answer as it should: {reason}. "
                        "Without it no model is called. Check the server and start again: the replies are kept"
                    )
                    raise self._ended from error
                self._logger.warning("Calls wait up to %.0f s for Prefect's server: %s", self._patience_seconds, reason)
                await asyncio.sleep(AGAIN_SECONDS)

    async def _ask(self, rate: Rate, units: int) -> bool:
        if rate.name not in self._shaped:
            await self._shape(rate, units)
        requested_at = time.monotonic()
        try:
            answer = await self._client.increment_concurrency_slots([rate.name], units * rate.grain, "rate_limit")
        except httpx.HTTPStatusError as error:
            if error.response.status_code == LOCKED:
                await asyncio.sleep(float(error.response.headers["Retry-After"]))
            elif error.response.status_code == TOO_MANY:
                # The limit has fewer slots than this call takes.
                await self._shape(rate, units)
            else:
                raise
            return False
        if time.monotonic() - requested_at > LAPSE_SECONDS:
            raise TimeoutError(f"a permit took more than {LAPSE_SECONDS:.0f} s and may not be used any more")
        if not answer.json():
            # Somebody has deleted the limit: without one, Prefect lets every call in.
            self._shaped.discard(rate.name)
        return bool(answer.json())

    async def _shape(self, rate: Rate, largest: int) -> None:
        """Create the limit, or update it if it has another rate or too little room.

        A run sets its rate when it begins, and the rate then applies to earlier runs, too. The limit is set full, so
        the old shape and the new shape together let in no more than one of them. The extra room for a large call of an
        earlier run is removed while all slots are free.
        """
        room, decay = rate.shape(largest)
        self._shaped.add(rate.name)
        try:
            limit = await self._client.read_global_concurrency_limit_by_name(rate.name)
        except ObjectNotFound:
            new = GlobalConcurrencyLimitCreate(name=rate.name, limit=room, slot_decay_per_second=decay)
            # If the limit exists now, another run was faster.
            with suppress(ObjectAlreadyExists):
                await self._client.create_global_concurrency_limit(new)
            return
        before = round((limit.limit + limit.slot_decay_per_second * WINDOW_SECONDS) / rate.grain) - 1
        has_room = limit.limit == room or (limit.limit > room and limit.active_slots > 0)
        if limit.active and before == rate.per_minute and has_room:
            return
        update = GlobalConcurrencyLimitUpdate(limit=room, slot_decay_per_second=decay, active_slots=room, active=True)
        await self._client.update_global_concurrency_limit(rate.name, update)
        if before != rate.per_minute:
            text = "Prefect's limit %s was %d a minute and is now %d, by %s"
            self._logger.warning(text, rate.name, before, rate.per_minute, rate.setting)

    async def _send_unused(self, after_seconds: float) -> None:
        """Return unused tokens to Prefect. If Prefect does not accept them, they decay."""
        await asyncio.sleep(after_seconds)
        tokens, self._unused_tokens = self._unused_tokens, 0
        if tokens:
            # The client requires an occupancy time, which has no effect on a limit with slot decay.
            with suppress(*FAILURES):
                await self._client.release_concurrency_slots([TOKENS], tokens * self._rates[0].grain, 1.0)


async def _raise_at_once(response: httpx.Response) -> None:
    if response.status_code in BUSY_STATUSES:
        response.raise_for_status()
