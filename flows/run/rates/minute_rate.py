"""A rate a minute as one of Prefect's global concurrency limits, which all runs and machines share.

A limit of ``room`` slots that decay at ``decay`` a second lets in at most ``room + decay * T`` during any ``T`` seconds
of the database's clock. Both are chosen so that this is the rate for a minute and ``SLACK_SECONDS``, the time that may
pass between the grant and the call (docs/decisions/020-rates-across-machines.md).
"""

from contextlib import suppress
from dataclasses import dataclass, replace

import httpx
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate, GlobalConcurrencyLimitUpdate
from prefect.client.schemas.responses import GlobalConcurrencyLimitResponse
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound

from flows.run.lease.lease import Logger

SLACK_SECONDS = 3.0
WINDOW_SECONDS = 60.0 + SLACK_SECONDS
# How much may gather in a limit while nobody asks: whoever asks so much later than possible loses nothing.
SAVED_SECONDS = 2.0
# Of that, what a backfill leaves to runs that somebody waits for.
LEFT_SHARE = 0.5
# One call that takes more than this of a minute would leave too little for the rest of it.
MOST_AT_ONCE = 0.75
LOCKED, TOO_MANY = 423, 422


@dataclass(frozen=True, slots=True)
class Rate:
    """So many requests, or tokens, in any 60 seconds, and one more.

    Args:
        setting: the environment variable that sets it.
        grain: slots for one unit. At each grant the decay is rounded down to whole slots: small ones lose little.
    """

    name: str
    setting: str
    per_minute: int
    grain: int
    counts_tokens: bool = False

    @property
    def saved_slots(self) -> int:
        """The slots that may be free beside those of the largest call."""
        return int(self.grain * self.per_minute * SAVED_SECONDS / 60)

    @property
    def most_at_once(self) -> int:
        """The most units that one call may take."""
        return max(1, int(self.per_minute * MOST_AT_ONCE))

    def count_units(self, tokens: int) -> int:
        """The units that a call of so many tokens takes."""
        return max(tokens, 1) if self.counts_tokens else 1

    def shape(self, largest: int) -> tuple[int, float]:
        """The limit's slots, and their decay in slots a second, where the largest call takes so many units.

        They are rounded up to a power of two: otherwise each call that is a little larger would shape the limit anew.
        """
        room = self.grain * min(1 << (largest - 1).bit_length(), self.most_at_once) + self.saved_slots
        return room, (self.grain * (self.per_minute + 1) - room) / WINDOW_SECONDS

    def read_per_minute(self, limit: GlobalConcurrencyLimitResponse) -> int:
        """The rate a minute of a limit as some run has shaped it; 0 where it is not active and lets everybody in."""
        decay = limit.slot_decay_per_second if limit.active else 0.0
        return round((limit.limit + decay * WINDOW_SECONDS) / self.grain) - 1 if decay > 0 else 0


class MinuteRate:
    """A rate as one process sees it. The limit is created, and set to this run's rate, when it is first read.

    Attributes:
        in_hand: units that were taken and that no call uses.

    Args:
        yields: whether a part of what is free is left to others.

    Raises:
        httpx.HTTPError, PrefectException: Prefect does not answer, or not as it should.
    """

    def __init__(self, client: PrefectClient, rate: Rate, logger: Logger, yields: bool = False) -> None:
        self.rate = rate
        self.in_hand = 0
        self._client = client
        self._logger = logger
        self._left_share = LEFT_SHARE if yields else 0.0
        self._largest = 1
        self._settled = False

    async def count_free(self, largest: int) -> tuple[int, float]:
        """The units that may be taken now; where there are none, the seconds until there are if nobody else comes.

        There are none before the largest call of any run would fit: otherwise those who ask for little would always
        come before those who ask for much.

        Args:
            largest: what the largest call that waits takes; the limit is shaped anew where it has too little room.
        """
        self._largest = max(self._largest, largest)
        found = await self._read()
        in_force = self.rate.read_per_minute(found)
        if self._settled and in_force not in {0, self.rate.per_minute}:
            # A run sets its rate once, when it begins; after that, that of a run which began later holds for it too.
            text = "%s=%d is not what holds: another run has set %s to %d a minute"
            self._logger.warning(text, self.rate.setting, self.rate.per_minute, self.rate.name, in_force)
            self.rate = replace(self.rate, per_minute=in_force)
        room, decay = self.rate.shape(self._largest)
        # A large call of an earlier run leaves less for the rest: a run that begins while all is free takes that back.
        too_large = found.limit > room and not found.active_slots and not self._settled
        if in_force != self.rate.per_minute or found.limit < room or too_large:
            await self._reshape(in_force, room, decay)
            return 0, (room - self.rate.saved_slots) / decay
        self._settled = True
        left_slots = int(self._left_share * self.rate.saved_slots)
        missing_slots = found.active_slots + left_slots - self.rate.saved_slots
        if missing_slots > 0:
            return 0, missing_slots / found.slot_decay_per_second
        return (found.limit - found.active_slots - left_slots) // self.rate.grain, 0.0

    async def take(self, units: int) -> bool:
        """Takes units, which are in hand then; False where others were faster."""
        slots = units * self.rate.grain
        try:
            response = await self._client.increment_concurrency_slots([self.rate.name], slots, "rate_limit")
        except httpx.HTTPStatusError as error:
            # TOO_MANY: another run has made the limit smaller since the last look.
            if error.response.status_code in {LOCKED, TOO_MANY}:
                return False
            raise
        # Prefect lets everybody in where there is no limit of that name: somebody has deleted it.
        taken = bool(response.json())
        self.in_hand += units if taken else 0
        return taken

    async def give_back(self) -> None:
        """Gives back the tokens in hand. Of requests there are few, and one that came back late could exceed a rate."""
        units, self.in_hand = self.in_hand, 0
        if units and self.rate.counts_tokens:
            try:
                # The client wants a time of occupancy, which means nothing for a limit that decays.
                await self._client.release_concurrency_slots([self.rate.name], units * self.rate.grain, 1.0)
            except httpx.HTTPStatusError:
                # Refused; where no answer comes they may have been given back, and are not given twice.
                self.in_hand += units
                raise

    async def _read(self) -> GlobalConcurrencyLimitResponse:
        """The limit in Prefect, created where there is none."""
        with suppress(ObjectNotFound):
            return await self._client.read_global_concurrency_limit_by_name(self.rate.name)
        room, decay = self.rate.shape(self._largest)
        limit = GlobalConcurrencyLimitCreate(name=self.rate.name, limit=room, slot_decay_per_second=decay)
        # Where there is one now, another run was faster.
        with suppress(ObjectAlreadyExists):
            await self._client.create_global_concurrency_limit(limit)
            self._logger.info("Made Prefect's limit %s: %d a minute", self.rate.name, self.rate.per_minute)
        return await self._client.read_global_concurrency_limit_by_name(self.rate.name)

    async def _reshape(self, in_force: int, room: int, decay: float) -> None:
        """Sets the limit, and sets it full: so the old shape and the new together let in no more than one of them."""
        update = GlobalConcurrencyLimitUpdate(limit=room, slot_decay_per_second=decay, active_slots=room, active=True)
        await self._client.update_global_concurrency_limit(self.rate.name, update)
        self._settled = True
        if in_force != self.rate.per_minute:
            text = "Prefect's limit %s was %d a minute and is now %d, by %s"
            self._logger.warning(text, self.rate.name, in_force, self.rate.per_minute, self.rate.setting)
