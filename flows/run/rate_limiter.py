"""Rates a minute that all runs and machines share, each one of Prefect's global concurrency limits whose slots decay.

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
# A permit that took longer is not used: one second of the slack is left for the way from here to the provider.
LAPSE_SECONDS = SLACK_SECONDS - 1.0
# How much may gather in a limit while nobody asks: whoever asks so much later than possible loses nothing.
SAVED_SECONDS = 2.0
# One call that takes more than this of a minute would leave too little for the rest of it.
MOST_AT_ONCE = 0.75
ASK_SECONDS, AGAIN_SECONDS, RETURN_SECONDS, CLOSE_SECONDS = 10.0, 1.0, 0.1, 5.0
LOCKED, TOO_MANY = 423, 422
# What Prefect's client answers by waiting two seconds and more: a permit lapses meanwhile.
BUSY_STATUSES = frozenset({408, 429, 502, 503})
FAILURES = (TimeoutError, httpx.HTTPError, PrefectException)


@dataclass(frozen=True, slots=True)
class Rate:
    """So many requests, or tokens, in any 60 seconds, and one more.

    Args:
        setting: the environment variable that sets it.
        grain: slots for one unit. At each grant Prefect rounds the decay down to whole slots: small ones lose little.
    """

    name: str
    setting: str
    per_minute: int
    grain: int

    @property
    def most_at_once(self) -> int:
        """The most units that one call may take."""
        return max(1, int(self.per_minute * MOST_AT_ONCE))

    def count_units(self, tokens: int) -> int:
        """The units that a call of so many tokens takes."""
        return max(tokens, 1) if self.name == TOKENS else 1

    def shape(self, largest: int) -> tuple[int, float]:
        """The limit's slots, and their decay in slots a second, where the largest call takes so many units.

        They are rounded up to a power of two: otherwise each call that is a little larger would shape the limit anew.
        """
        saved = int(self.grain * self.per_minute * SAVED_SECONDS / 60)
        room = self.grain * min(1 << (largest - 1).bit_length(), self.most_at_once) + saved
        return room, (self.grain * (self.per_minute + 1) - room) / WINDOW_SECONDS


@asynccontextmanager
async def open_rate_limiter(settings: Settings, logger: Logger) -> AsyncIterator[RateLimiter]:
    """The rate limiter for calls to hosted models; it lets every call through where no rate is set."""
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
    """The rates that the settings set; tokens come first, since those that were taken in vain are given back."""
    rates = (
        (TOKENS, "EXEMPLARS_TOKENS_PER_MINUTE", settings.tokens_per_minute, 100),
        (REQUESTS, "EXEMPLARS_REQUESTS_PER_MINUTE", settings.requests_per_minute, 1000),
    )
    return [Rate(name, setting, number, grain) for name, setting, number, grain in rates if number is not None]


@dataclass(eq=False)
class PrefectRateLimiter(RateLimiter):
    """Lets the calls of one process through in the order in which they came: one of them asks Prefect at a time."""

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
        """Waits for the permits of one call; a call that is cancelled while it waits leaves its place to the next.

        Raises:
            DefinitionError: the call needs more tokens than may be let through at once.
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
        """Returns tokens that a call did not use; they are sent to Prefect together with those of other calls."""
        if tokens > 0 and self._rates[0].name == TOKENS:
            self._unused_tokens += tokens
            if self._returning is None or self._returning.done():
                self._returning = asyncio.create_task(self._give_back(RETURN_SECONDS))

    async def close(self) -> None:
        """Gives back what is unused, without waiting for a server that is away."""
        if self._returning is not None:
            self._returning.cancel()
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._give_back(0.0)

    async def _take(self, rate: Rate, units: int) -> None:
        """Takes the units of one call from a limit, as Prefect's ``rate_limit`` does; a server that does not answer is
        asked again for as long as a run waits.
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
                said = str(error) or type(error).__name__
                if time.monotonic() - failing_since >= self._patience_seconds:
                    self._ended = OrchestratorError(
                        f"Prefect's server keeps the limits on calls and does not answer as it should: {said}. Nothing "
                        "is called without it. See to the server and start again: the replies are kept"
                    )
                    raise self._ended from error
                self._logger.warning("Calls wait up to %.0f s for Prefect's server: %s", self._patience_seconds, said)
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
                # The limit has no room for so large a call.
                await self._shape(rate, units)
            else:
                raise
            return False
        if time.monotonic() - requested_at > LAPSE_SECONDS:
            raise TimeoutError(f"a permit took more than {LAPSE_SECONDS:.0f} s and may not be used any more")
        if not answer.json():
            # Prefect lets everybody in where there is no limit of that name: somebody has deleted it.
            self._shaped.discard(rate.name)
        return bool(answer.json())

    async def _shape(self, rate: Rate, largest: int) -> None:
        """Makes the limit, or sets it anew where it has another rate or too little room.

        A run sets its rate when it begins; then it holds for those that run already, too. The limit is set full: so the
        old shape and the new together let in no more than one of them. What a large call of an earlier run leaves less
        for the rest is taken back while all is free.
        """
        room, decay = rate.shape(largest)
        self._shaped.add(rate.name)
        try:
            found = await self._client.read_global_concurrency_limit_by_name(rate.name)
        except ObjectNotFound:
            limit = GlobalConcurrencyLimitCreate(name=rate.name, limit=room, slot_decay_per_second=decay)
            # Where there is one now, another run was faster.
            with suppress(ObjectAlreadyExists):
                await self._client.create_global_concurrency_limit(limit)
            return
        before = round((found.limit + found.slot_decay_per_second * WINDOW_SECONDS) / rate.grain) - 1
        has_room = found.limit == room or (found.limit > room and found.active_slots > 0)
        if found.active and before == rate.per_minute and has_room:
            return
        update = GlobalConcurrencyLimitUpdate(limit=room, slot_decay_per_second=decay, active_slots=room, active=True)
        await self._client.update_global_concurrency_limit(rate.name, update)
        if before != rate.per_minute:
            text = "Prefect's limit %s was %d a minute and is now %d, by %s"
            self._logger.warning(text, rate.name, before, rate.per_minute, rate.setting)

    async def _give_back(self, after_seconds: float) -> None:
        """Gives back the tokens that were not used. Where Prefect does not take them, they decay."""
        await asyncio.sleep(after_seconds)
        tokens, self._unused_tokens = self._unused_tokens, 0
        if tokens:
            # The client wants a time of occupancy, which means nothing for a limit that decays.
            with suppress(*FAILURES):
                await self._client.release_concurrency_slots([TOKENS], tokens * self._rates[0].grain, 1.0)


async def _raise_at_once(response: httpx.Response) -> None:
    if response.status_code in BUSY_STATUSES:
        response.raise_for_status()
