"""The throttle: how many calls of one model are in flight, by what its provider answers and how long that takes.

Why it is not plain AIMD, and what each rule gained: docs/decisions/008-replies.md.
"""

import asyncio
import heapq
import itertools
import math
import statistics
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from engine.errors import ProviderDownError, RetryableProviderError

# A provider that sends a share of the calls away at any load cannot be helped by going slower, and at a limit a share
# of refusals is the price of knowing where it lies: below this share the window grows, above it shrinks.
TOLERANCE = 0.3
DECREASE = 0.7
# The share is that of so many calls: by chance one failure in five looks like three in ten once in 30,000.
SHARE_WINDOWS, MIN_SHARE_CALLS = 4, 64
# A reply that takes so many times the usual counts as a sign of overload, like a refusal.
SLOW_RATIO = 4.0
SLOW_SECONDS = 1.0
REMEMBERED_REPLIES = 256
# So many calls that fail one after another, or half of those in flight, open the circuit: where one call in five fails
# eight do so 2.6 times in a million, but refusals come sooner than replies when a run begins. They have to be different
# calls: a prompt that a provider trips over says nothing of others.
SILENT_CALLS = 8
FIRST_PAUSE_SECONDS = 1.0
# Where nothing was ever answered, an address or a name is wrong more often than the provider is down.
FIRST_PATIENCE_SECONDS = 10.0
MAX_PAUSE_SECONDS = 30.0


@dataclass(eq=False)
class AdaptiveThrottle:
    """Lets as many calls begin as the provider can take: additive increase, multiplicative decrease.

    Where nothing is answered any more the circuit opens: one call at a time is tried, after a pause that doubles, while
    the others wait. ``answered`` says whether the provider has ever answered.

    Args:
        most: calls in flight at most; the throttle begins there.
        patience_seconds: how long the circuit stays open before the provider counts as down.
        notice: told in a sentence when the circuit opens, and when it closes.
    """

    most: int
    patience_seconds: float
    notice: Callable[[str], None] = lambda _: None
    clock: Callable[[], float] = time.monotonic
    in_flight: int = 0
    answered: bool = False
    window: float = field(init=False)
    _waiting: list[tuple[int, int, asyncio.Future[None]]] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _latencies: deque[float] = field(default_factory=lambda: deque(maxlen=REMEMBERED_REPLIES))
    _share: float = 0.0
    _failing: set[int] = field(default_factory=set)
    _silent_since: float = 0.0
    _pause_seconds: float = 0.0
    _resume_at: float = 0.0
    _timer: asyncio.TimerHandle | None = None

    def __post_init__(self) -> None:
        self.window = float(self.most)

    @property
    def is_open(self) -> bool:
        """Whether the circuit is open: nothing is answered, and one call at a time is tried."""
        return self._pause_seconds > 0

    @property
    def is_strained(self) -> bool:
        """Whether so many calls were refused or slow of late that there may be too many of them."""
        return self.is_open or self.window < self.most - 1

    @asynccontextmanager
    async def turn(self, failures: int = 0) -> AsyncIterator[None]:
        """Holds a place for one call inside the block. Calls that have failed go first, so that a round does not end
        with them.

        Raises:
            ProviderDownError: nothing has been answered for as long as a run waits.
        """
        await self._wait_for_turn(failures)
        try:
            yield
        finally:
            self.in_flight -= 1
            self._admit_waiting()

    def take_reply(self, seconds: float) -> None:
        """Counts a call that was answered after so many seconds."""
        usual = statistics.median(self._latencies) if self._latencies else seconds
        self._latencies.append(seconds)
        self.answered = True
        self.note_answer()
        self._adjust_window(seconds > max(SLOW_SECONDS, SLOW_RATIO * usual))
        self._admit_waiting()

    def note_answer(self) -> None:
        """Counts a request that was refused as such: the provider answers."""
        self._failing.clear()
        if self.is_open:
            self._pause_seconds = 0.0
            self.notice("The provider answers again")
            self._admit_waiting()

    def take_failure(self, error: RetryableProviderError, call: object) -> None:
        """Counts an attempt at a call that failed in a way that may pass.

        Args:
            call: tells this call from others; any object.

        Raises:
            ProviderDownError: nothing has been answered for as long as a run waits.
        """
        if not self._failing:
            self._silent_since = self.clock()
        self._failing.add(id(call))
        self._adjust_window(overloaded=True)
        patience = self.patience_seconds
        if not self.answered and error.no_connection:
            patience = min(patience, FIRST_PATIENCE_SECONDS)
        if self.is_open:
            # Those that were in flight when it opened say nothing new.
            if self.clock() >= self._resume_at:
                self._pause_calls(error, min(MAX_PAUSE_SECONDS, 2 * self._pause_seconds), patience)
        elif len(self._failing) >= max(min(SILENT_CALLS, max(2, self.most)), self.window / 2):
            self._pause_calls(error, FIRST_PAUSE_SECONDS, patience)
            self.notice(f"{error}. Nothing else is asked until it answers, for {patience:g} s at most")

    def _adjust_window(self, overloaded: bool) -> None:
        """Changes the window by the share of the latest calls that were refused or slow."""
        self._share += (overloaded - self._share) / max(MIN_SHARE_CALLS, SHARE_WINDOWS * self.window)
        if self._share < TOLERANCE:
            self.window = min(self.most, self.window + (0.0 if overloaded else 1 / self.window))
        elif overloaded:
            self.window = max(1.0, self.window * DECREASE)
            # What was in flight before says nothing of the narrower window.
            self._share = TOLERANCE / 2

    def _pause_calls(self, error: RetryableProviderError, seconds: float, patience: float) -> None:
        self._pause_seconds = max(seconds, min(error.retry_after_seconds or 0.0, MAX_PAUSE_SECONDS))
        self._resume_at = self.clock() + self._pause_seconds
        if self._resume_at <= self._silent_since + patience:
            return
        waited = self.clock() - self._silent_since
        down = ProviderDownError(
            f"{error}. It has answered nothing for {waited:.0f} s. The replies so far are kept: start again when it is "
            "back. EXEMPLARS_PATIENCE_SECONDS sets how long a run waits"
        )
        waiting, self._waiting = self._waiting, []
        for _, _, future in waiting:
            if not future.done():
                future.set_exception(down)
        raise down from error

    async def _wait_for_turn(self, failures: int) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (-failures, next(self._numbers), future))
        self._admit_waiting()
        try:
            await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and future.exception() is None:
                self.in_flight -= 1
                self._admit_waiting()
            raise

    def _admit_waiting(self) -> None:
        """Lets in the calls that may begin now; while the circuit is open one at a time, after its pause."""
        while self._waiting and self.in_flight < self._count_places():
            *_, future = heapq.heappop(self._waiting)
            if not future.done():
                self.in_flight += 1
                future.set_result(None)

    def _count_places(self) -> int:
        if not self.is_open:
            return math.floor(self.window)
        left = self._resume_at - self.clock()
        if left <= 0:
            return 1
        if self._timer is None or self._timer.when() < asyncio.get_running_loop().time():
            self._timer = asyncio.get_running_loop().call_later(left, self._admit_waiting)
        return 0
