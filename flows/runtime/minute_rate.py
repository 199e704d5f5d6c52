"""A rate a minute as one of Prefect's global concurrency limits, which all runs and machines share.

A limit of ``room`` slots that decay at ``decay`` a second lets in at most ``room + decay * T`` during any ``T`` seconds
of the database's clock. Both are chosen so that this is the rate for a minute and ``SLACK_SECONDS``, the time that may
pass between the grant and the call (docs/decisions/020-rates-across-machines.md).
"""

import math
from contextlib import suppress
from dataclasses import dataclass, replace

import httpx
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate, GlobalConcurrencyLimitUpdate
from prefect.client.schemas.responses import GlobalConcurrencyLimitResponse
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound

from flows.runs.lease import Logger

SLACK_SECONDS = 3.0
WINDOW_SECONDS = 60.0 + SLACK_SECONDS
# One call that takes more than this of a minute would leave too little for the rest of it.
MOST_AT_ONCE = 0.75
# The largest call is rounded up to a step of these, or each that is a little larger would shape the limit anew.
STEP = 1.25
LOCKED, TOO_MANY = 423, 422
# Prefect's client wants one; it means nothing for a limit that decays.
OCCUPANCY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Rate:
    """So many units in any 60 seconds, ``extra`` more at most.

    Args:
        setting: the environment variable that sets it.
        grain: slots for one unit. At each grant the decay is rounded down to whole slots: small ones lose little.
        saved_seconds: how much may gather while nobody asks, in seconds of the rate; whoever asks so much later than
            possible, because it sleeps, loses nothing.
    """

    name: str
    setting: str
    per_minute: int
    grain: int
    extra: int = 0
    saved_seconds: float = 1.0

    @property
    def saved(self) -> float:
        """The units that may gather while nobody asks, beside those of one call."""
        return self.per_minute * self.saved_seconds / 60

    @property
    def most_at_once(self) -> int:
        """The most units that one call may take."""
        return max(self.extra, math.floor(self.per_minute * MOST_AT_ONCE))

    def round_up(self, largest: int) -> int:
        """The units that the limit is shaped for where the largest call takes ``largest``: a step of a ladder."""
        steps = math.ceil(math.log(max(largest, 1), STEP) - 1e-9)
        return min(math.ceil(STEP**steps), self.most_at_once)

    def shape(self, largest: int) -> tuple[int, float]:
        """The limit's slots, and their decay in slots a second, where the largest call takes ``largest`` units."""
        room = math.floor(self.grain * (largest + self.saved))
        return room, (self.grain * (self.per_minute + self.extra) - room) / WINDOW_SECONDS

    def read_rate(self, room: int, decay: float) -> int:
        """The rate a minute of a limit as some run has shaped it."""
        return round((room + decay * WINDOW_SECONDS) / self.grain) - self.extra

    def read_largest(self, room: int) -> int:
        """The largest call, in units, that a limit of this rate was shaped for."""
        return math.ceil(round(room / self.grain - self.saved, 6))


class MinuteRate:
    """A rate as one process sees it. The limit is created, and set to this run's rate, when it is first read.

    Raises:
        httpx.HTTPError, PrefectException: Prefect does not answer, or not as it should.
    """

    def __init__(self, client: PrefectClient, rate: Rate, logger: Logger) -> None:
        self.rate = rate
        self._client = client
        self._logger = logger
        self._settled = False
        self._free_slots = 0
        self._decay = 1.0
        self._turn_slots = 1

    async def count_free(self, largest: int) -> int:
        """The units that are free now; none as long as there are fewer than the largest call of any run takes.

        Otherwise those who ask for little would always come before those who ask for much.

        Args:
            largest: what this run's largest call takes; the limit is shaped anew where that is more than before.
        """
        found = await self._read(largest)
        in_force = self._read_rate(found)
        self._follow(in_force)
        largest = self.rate.round_up(largest)
        spare = self.rate.read_largest(found.limit) - largest
        # A call that was larger than all of today's leaves less for the rest: a run that begins while nothing is in
        # use takes that back.
        too_large = spare > 0 and not self._settled and found.active_slots == 0
        if in_force != self.rate.per_minute or spare < 0 or too_large:
            await self._reshape(in_force, largest)
            return 0
        self._settled = True
        self._note(found.limit - found.active_slots, found.slot_decay_per_second, largest + spare)
        return self._free_slots // self.rate.grain if self.wait_seconds() <= 0 else 0

    def wait_seconds(self) -> float:
        """How many seconds after the last reading the next call can be let in, should nobody else come."""
        return (self._turn_slots - self._free_slots) / self._decay

    async def take(self, units: int) -> float | None:
        """Takes units; None where they are taken, else the seconds after which Prefect wants to be asked again."""
        try:
            names = [self.rate.name]
            response = await self._client.increment_concurrency_slots(names, units * self.rate.grain, "rate_limit")
        except httpx.HTTPStatusError as error:
            if error.response.status_code not in {LOCKED, TOO_MANY}:
                raise
            # TOO_MANY: another run has made the limit smaller since the last look.
            return float(error.response.headers.get("Retry-After", 0.0))
        # Prefect lets everybody in where there is no limit of that name: somebody has deleted it.
        return None if response.json() else 0.0

    async def return_units(self, units: int) -> None:
        """Returns units that were taken and not used."""
        await self._client.release_concurrency_slots([self.rate.name], units * self.rate.grain, OCCUPANCY_SECONDS)

    async def _read(self, largest: int) -> GlobalConcurrencyLimitResponse:
        """The limit in Prefect, created where there is none."""
        with suppress(ObjectNotFound):
            return await self._client.read_global_concurrency_limit_by_name(self.rate.name)
        room, decay = self.rate.shape(self.rate.round_up(largest))
        limit = GlobalConcurrencyLimitCreate(name=self.rate.name, limit=room, slot_decay_per_second=decay)
        # Where there is one now, another run was faster.
        with suppress(ObjectAlreadyExists):
            await self._client.create_global_concurrency_limit(limit)
            self._logger.info("Made Prefect's limit %s: %d a minute", self.rate.name, self.rate.per_minute)
        return await self._client.read_global_concurrency_limit_by_name(self.rate.name)

    def _read_rate(self, found: GlobalConcurrencyLimitResponse) -> int:
        """The rate a minute in force; 0 where the limit is not active and lets everybody in."""
        if not found.active or found.slot_decay_per_second <= 0:
            return 0
        return self.rate.read_rate(found.limit, found.slot_decay_per_second)

    def _follow(self, in_force: int) -> None:
        """A run sets its rate once, when it begins; after that the rate of a run which began later holds for it too."""
        if self._settled and in_force not in {0, self.rate.per_minute}:
            text = "%s=%d is not what holds: another run has set %s to %d a minute"
            self._logger.warning(text, self.rate.setting, self.rate.per_minute, self.rate.name, in_force)
            self.rate = replace(self.rate, per_minute=in_force)

    async def _reshape(self, in_force: int, largest: int) -> None:
        """Sets the limit, and sets it full: so the old shape and the new together let in no more than one of them."""
        room, decay = self.rate.shape(largest)
        update = GlobalConcurrencyLimitUpdate(limit=room, slot_decay_per_second=decay, active_slots=room, active=True)
        await self._client.update_global_concurrency_limit(self.rate.name, update)
        self._settled = True
        self._note(0, decay, largest)
        if in_force != self.rate.per_minute:
            text = "Prefect's limit %s was %d a minute and is now %d, by %s"
            self._logger.warning(text, self.rate.name, in_force, self.rate.per_minute, self.rate.setting)

    def _note(self, free_slots: int, decay: float, turn_units: int) -> None:
        self._free_slots, self._decay, self._turn_slots = free_slots, decay, turn_units * self.rate.grain
