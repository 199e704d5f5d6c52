"""The allowance: what calls may cost, said on the store before they begin, so that no lost machine takes it along."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

from engine.replies.segments import NOTHING, Amount

# It is said for so many calls ahead, by the dearest so far: what a lost machine has said and not used counts as spent
# for as long as the plan is kept.
STEP_CALLS = 48
# And said anew when so many are left, so that calls need not wait for it: they are begun in 0.1 s at the fastest.
AHEAD_CALLS = 16
# Arrow's client takes minutes to give up a store that answers nothing.
PATIENCE_SECONDS = 10.0


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    needed_usd: float
    future: "Future[None]"


class Allowance:
    """What the calls of one opening may cost by what it has said, and what they may cost by now.

    The calls come from event loops, what is said is said by one thread.

    Args:
        wake: tells that thread that there is something to say.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._lock = threading.Lock()
        self._begun = self._said = NOTHING
        self._largest_usd = 0.0
        self._waiting: list[_Waiting] = []
        self._waived = False

    @property
    def is_said(self) -> bool:
        """Whether there is anything on the store."""
        return self._said != NOTHING

    async def cover(self, bound_usd: float) -> None:
        """Returns when a call that costs so much at most may begin.

        Raises:
            TimeoutError: that is not said after some seconds; the call is counted.
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
        """What is to be said next; None where enough is."""
        with self._lock:
            if self._said.usd - self._begun.usd >= AHEAD_CALLS * self._largest_usd:
                return None
            return self._begun.plus(Amount(STEP_CALLS, STEP_CALLS * self._largest_usd))

    def say(self, amount: Amount) -> None:
        """So much is on the store now: the calls that it covers may begin."""
        with self._lock:
            self._said, self._waived = amount, False
            covered = [item for item in self._waiting if item.needed_usd <= amount.usd]
            self._waiting = [item for item in self._waiting if item.needed_usd > amount.usd]
        _release(covered)

    def waive(self) -> None:
        """The store is away: calls begin all the same, until it has been told of them."""
        with self._lock:
            self._waived, waiting, self._waiting = True, self._waiting, []
        _release(waiting)

    def _begin(self, bound_usd: float) -> "Future[None] | None":
        """Counts a call; what it has to wait for, if anything."""
        with self._lock:
            self._largest_usd = max(self._largest_usd, bound_usd)
            self._begun = self._begun.plus(Amount(1, bound_usd))
            if self._waived or self._begun.usd <= self._said.usd:
                return None
            waiting = _Waiting(self._begun.usd, Future())
            self._waiting.append(waiting)
            return waiting.future


def _release(waiting: list[_Waiting]) -> None:
    for item in waiting:
        # One that nobody waits for any more is cancelled.
        if item.future.set_running_or_notify_cancel():
            item.future.set_result(None)
