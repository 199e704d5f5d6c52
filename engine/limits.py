"""Limits: what one run may have in flight and spend, over all the models that it asks, and what it has used."""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from engine.errors import BudgetError
from engine.replies import Reply


class Limits:
    """The limits of one run, shared by all who ask for it, and the counts of what they asked.

    Args:
        concurrency: calls in flight, of all models together.
        max_cost_usd: what the replies may cost, kept ones included; None where there is no limit.
    """

    def __init__(self, concurrency: int, max_cost_usd: float | None = None) -> None:
        self.concurrency = concurrency
        self.max_cost_usd = max_cost_usd
        self.in_flight = asyncio.Semaphore(concurrency)
        self.calls = 0
        self.replies = 0
        self.tokens = 0
        self._costs: list[float] = []
        self._spent_usd = 0.0
        self._dearest_usd = 0.0
        self._open = 0
        self._ended = asyncio.Event()

    @property
    def cost_usd(self) -> float | None:
        """What the replies cost, whatever the order in which they came; None where no price is known."""
        return math.fsum(self._costs) if self._costs else None

    @asynccontextmanager
    async def spending(self) -> AsyncIterator[None]:
        """The time of one call, for which there is room in the budget.

        Raises:
            BudgetError: one more call could cost more than the run may.
        """
        await self._wait_for_room()
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1
            self._ended.set()

    def count(self, reply: Reply, reused: bool) -> None:
        """Counts a reply; a kept one was paid for too, by the run that asked."""
        self.replies += 1
        self.calls += not reused
        self.tokens += reply.completion_tokens
        if reply.cost_usd is not None:
            self._costs.append(reply.cost_usd)
            self._spent_usd += reply.cost_usd
            self._dearest_usd = max(self._dearest_usd, reply.cost_usd)

    async def _wait_for_room(self) -> None:
        """Where one more call has no room beside those in flight, their end is waited for: they may cost less.

        So nothing is in flight when the run stops at its limit, and no reply is paid for and lost.
        """
        if self.max_cost_usd is None:
            return
        while not self._has_room(self.max_cost_usd):
            if self._open:
                self._ended.clear()
                await self._ended.wait()
                continue
            raise BudgetError(
                f"The run's limit of ${self.max_cost_usd:g} is reached: ${self.cost_usd or 0:.4f} is spent and one "
                "more call could pass it. Raise EXEMPLARS_MAX_COST_USD or max_cost_usd in the effort file and start "
                "again: the replies are kept and not paid twice"
            )

    def _has_room(self, max_cost_usd: float) -> bool:
        """Every call is reckoned at the dearest so far, whichever model gave it."""
        return self._spent_usd + (self._open + 1) * self._dearest_usd <= max_cost_usd
