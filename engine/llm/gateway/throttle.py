"""The throttle: it limits the calls in flight to one model by the provider's answers and their duration.

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

# If a provider rejects a share of the calls at any load, going slower does not help, and some rejections are needed to
# find its limit. Below this share of rejected calls the window grows, above it the window shrinks.
TOLERANCE = 0.3
DECREASE = 0.7
# The number of calls for the share: by chance one failure in five looks like three in ten once in 30,000.
SHARE_WINDOWS, MIN_SHARE_CALLS = 4, 64
# A reply that takes so many times the median counts as a sign of overload, like a rejection.
SLOW_RATIO = 4.0
SLOW_SECONDS = 1.0
REMEMBERED_REPLIES = 256
# So many failures in a row, or as many as half of the calls in flight, open the circuit. If one call in five fails,
# eight in a row do so 2.6 times in a million, but rejections arrive before replies when a run begins. They must be
# different calls, since a prompt that makes a provider fail says nothing about others.
SILENT_CALLS = 8
FIRST_PAUSE_SECONDS = 1.0
# If no call was ever answered, a wrong address or name is more likely than an outage.
FIRST_PATIENCE_SECONDS = 10.0
MAX_PAUSE_SECONDS = 30.0


@dataclass(eq=False)
class AdaptiveThrottle:
    """A limit on calls in flight that adapts to the provider: additive increase, multiplicative decrease.

    If no call is answered any more, the circuit opens: one call at a time is tried, after a pause that doubles, while
    the others wait. ``answered`` is whether the provider has ever answered.

    Args:
        most: maximum number of calls in flight, and the initial limit.
        patience_seconds: how long the circuit stays open before the provider counts as down.
        notice: receives a sentence when the circuit opens, and when it closes.
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
        """Return whether the circuit is open: no call is answered, and one at a time is tried."""
        return self._pause_seconds > 0

    @property
    def is_strained(self) -> bool:
        """Return whether rejected or slow calls suggest that too many are in flight."""
        return self.is_open or self.window < self.most - 1

    @asynccontextmanager
    async def turn(self, failures: int = 0) -> AsyncIterator[None]:
        """Hold a place for one call inside the block. Failed calls go first, so that a round does not end with them.

        Raises:
            ProviderDownError: no call has been answered for the time that a run waits.
        """
        await self._wait_for_turn(failures)
        try:
            yield
        finally:
            self.in_flight -= 1
            self._admit_waiting()

    def take_reply(self, seconds: float) -> None:
        """Count a call that was answered after so many seconds."""
        usual = statistics.median(self._latencies) if self._latencies else seconds
        self._latencies.append(seconds)
        self.answered = True
        self.note_answer()
        self._adjust_window(seconds > max(SLOW_SECONDS, SLOW_RATIO * usual))
        self._admit_waiting()

    def note_answer(self) -> None:
        """Record that the provider answers, even if it refused the request."""
        self._failing.clear()
        if self.is_open:
            self._pause_seconds = 0.0
            self.notice("The provider answers again")
            self._admit_waiting()

    def take_failure(self, error: RetryableProviderError, call: object) -> None:
        """Count an attempt at a call that failed with a possibly temporary error.

        Args:
            call: an object that identifies the call.

        Raises:
            ProviderDownError: no call has been answered for the time that a run waits.
        """
        if not self._failing:
            self._silent_since = self.clock()
        self._failing.add(id(call))
        self._adjust_window(overloaded=True)
        patience = self.patience_seconds
        if not self.answered and error.no_connection:
            patience = min(patience, FIRST_PATIENCE_SECONDS)
        if self.is_open:
            # Calls in flight when the circuit opened give no new information.
            if self.clock() >= self._resume_at:
                self._pause_calls(error, min(MAX_PAUSE_SECONDS, 2 * self._pause_seconds), patience)
        elif len(self._failing) >= max(min(SILENT_CALLS, max(2, self.most)), self.window / 2):
            self._pause_calls(error, FIRST_PAUSE_SECONDS, patience)
            self.notice(f"{error}. No other call is made until it answers, for {patience:g} s at most")

    def _adjust_window(self, overloaded: bool) -> None:
        """Change the window by the share of rejected or slow calls among the latest."""
        self._share += (overloaded - self._share) / max(MIN_SHARE_CALLS, SHARE_WINDOWS * self.window)
        if self._share < TOLERANCE:
            self.window = min(self.most, self.window + (0.0 if overloaded else 1 / self.window))
        elif overloaded:
            self.window = max(1.0, self.window * DECREASE)
            # Calls from before say nothing about the narrower window.
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
        """Admit the calls that may begin now; while the circuit is open, one at a time after its pause."""
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
