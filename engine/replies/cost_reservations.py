"""Reserves the cost of calls on the store before they begin, so that a lost machine's costs stay known."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

from engine.replies.segments import NOTHING, Amount

# Costs are reserved for so many calls ahead, each at the cost of the dearest so far. What a lost machine has reserved
# and not used counts as spent for as long as the plan is kept.
STEP_CALLS = 48
# A new reservation is made when so many calls are left, so that none waits: so many begin in 0.1 s at the fastest.
AHEAD_CALLS = 16
# How long a call waits for its reservation. Arrow's client takes minutes to give up on a store that does not answer.
PATIENCE_SECONDS = 10.0


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    needed_usd: float
    future: "Future[None]"


class CostReservations:
    """The costs that one opening of a plan has reserved on the store, and those that its calls need by now.

    Calls come from event loops; one thread writes the reservations.

    Args:
        wake: wakes that thread when a reservation is to be written.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._lock = threading.Lock()
        self._begun = self._reserved = NOTHING
        self._largest_usd = 0.0
        self._waiting: list[_Waiting] = []
        self._waived = False

    @property
    def has_reserved(self) -> bool:
        """Whether anything is reserved on the store."""
        return self._reserved != NOTHING

    async def cover(self, bound_usd: float) -> None:
        """Waits until the cost of a call, at most ``bound_usd``, is reserved, so that the call may begin.

        Raises:
            TimeoutError: it is not reserved after ``PATIENCE_SECONDS``; the call is counted nevertheless.
        """
        future = self._begin(bound_usd)
        if self.find_wanted():
            self._wake()
        if future is None:
            return
        try:
            await asyncio.wait_for(asyncio.wrap_future(future), PATIENCE_SECONDS)
        except asyncio.CancelledError:
            with self._lock:
                self._begun = self._begun.less(Amount(1, bound_usd))
            raise

    def find_wanted(self) -> Amount | None:
        """The next amount to reserve on the store; None if enough is reserved."""
        with self._lock:
            if self._reserved.usd - self._begun.usd >= AHEAD_CALLS * self._largest_usd:
                return None
            return self._begun.plus(Amount(STEP_CALLS, STEP_CALLS * self._largest_usd))

    def record(self, amount: Amount) -> None:
        """Records that this amount is reserved on the store now, and lets the calls that it covers begin."""
        with self._lock:
            self._reserved, self._waived = amount, False
            covered = [item for item in self._waiting if item.needed_usd <= amount.usd]
            self._waiting = [item for item in self._waiting if item.needed_usd > amount.usd]
        _release(covered)

    def waive(self) -> None:
        """Lets calls begin without a reservation while the store is away."""
        with self._lock:
            self._waived, waiting, self._waiting = True, self._waiting, []
        _release(waiting)

    def _begin(self, bound_usd: float) -> "Future[None] | None":
        """Counts a call; returns the future that it has to wait for, if any."""
        with self._lock:
            self._largest_usd = max(self._largest_usd, bound_usd)
            self._begun = self._begun.plus(Amount(1, bound_usd))
            if self._waived or self._begun.usd <= self._reserved.usd:
                return None
            waiting = _Waiting(self._begun.usd, Future())
            self._waiting.append(waiting)
            return waiting.future


def _release(waiting: list[_Waiting]) -> None:
    for item in waiting:
        # A future that nobody waits for any more is cancelled.
        if item.future.set_running_or_notify_cancel():
            item.future.set_result(None)
