"""The purse: money that calls share and never overdraw: what a call can cost is set aside before it is made."""

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from fractions import Fraction

from engine.errors import BudgetError

# For a limit that sums of prices reach exactly.
TINY_USD = 1e-12


class Purse:
    """What may be spent, what is spent, and what is set aside for the calls in flight; one event loop's.

    Args:
        max_usd: None where there is no limit: then it only counts.
        refuse: the error for a call of this bound in USD, for which there is no money left.
    """

    def __init__(self, max_usd: float | None, refuse: Callable[[float], BudgetError]) -> None:
        self.max_usd = max_usd
        self._refuse = refuse
        # Exact, so that the order in which calls end makes no difference.
        self._spent = Fraction(0)
        self._reserved: list[float] = []
        self._refusal: BudgetError | None = None
        self._ended = asyncio.Event()

    @property
    def spent_usd(self) -> float:
        """What is spent, whatever the order in which it was."""
        return float(self._spent)

    @property
    def left_usd(self) -> float:
        """What is neither spent nor set aside; without a limit there is no end to it."""
        if self.max_usd is None:
            return math.inf
        return max(0.0, self.max_usd - self.spent_usd - math.fsum(self._reserved))

    def set_aside(self, usd: float) -> None:
        """Sets money aside for others to spend, until they ``settle``."""
        self._reserved.append(usd)

    def settle(self, set_aside_usd: float, spent_usd: float) -> None:
        """Counts what was spent of what was set aside, and takes back the rest."""
        self._reserved.remove(set_aside_usd)
        self.spend(spent_usd)
        self._ended.set()

    def spend(self, usd: float) -> None:
        """Counts what was paid, or may have been."""
        self._spent += Fraction(usd)

    @asynccontextmanager
    async def reserving(self, bound_usd: float) -> AsyncIterator[None]:
        """The time of one call: what it can cost at most is set aside.

        Where it has no room beside those in flight their end is waited for: they may cost less. So nothing is in flight
        when the money is spent, and no reply is paid for and lost.

        Raises:
            BudgetError: with it more could be spent than there is.
        """
        await self._wait_for_room(bound_usd)
        self.set_aside(bound_usd)
        try:
            yield
        finally:
            self.settle(bound_usd, 0.0)

    async def _wait_for_room(self, bound_usd: float) -> None:
        if self.max_usd is None:
            return
        while self._refusal or self.spent_usd + math.fsum(self._reserved) + bound_usd > self.max_usd + TINY_USD:
            if self._reserved and not self._refusal:
                self._ended.clear()
                await self._ended.wait()
                continue
            # A cheaper call might still fit, and would be cancelled in flight by the end of the run.
            self._refusal = self._refusal or self._refuse(bound_usd)
            raise self._refusal.with_traceback(None)
