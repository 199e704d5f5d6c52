"""Uploads the kept replies of a run to the store in segments, from a thread that retries until it succeeds."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.replies.cost_reservations import CostReservations
from engine.replies.journal import JournalSegments
from engine.replies.remote_plan import PlanStore
from engine.replies.segments import NOTHING, Account, Amount, Segment, pack_segment, sum_amounts

# A segment is put when so many replies wait, or one has waited so long: docs/decisions/023-replies-on-many-machines.md.
SEGMENT_REPLIES = 32
SEGMENT_SECONDS = 5.0
# A store of which a run was away for an hour has much to take in: still less than 5 MB, which go in one request.
MOST_REPLIES = 512
RETRY_SECONDS = 5.0
# Arrow's client takes minutes to give up a store that answers nothing.
CLOSE_SECONDS = 30.0
# A plan that is open for long, and of which nothing is put, is not to look unused.
TOUCH_SECONDS = 3600.0

Notice = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class _Made:
    """A segment whose replies are claimed: it is put under this name, however often that is tried."""

    name: str
    segment: Segment


class Uploader:
    """Puts the replies of one opening's journal on the store. What goes wrong is told once, and tried again.

    Args:
        behind: the keys of replies that are kept and on no store yet.
        is_stale: whether the plan is on the store and was not used lately, so that it has to be touched.
        path: where the replies are kept all the while.
    """

    def __init__(
        self,
        journal: JournalSegments,
        store: PlanStore,
        notice: Notice,
        path: Path,
        behind: Sequence[str] = (),
        is_stale: bool = False,
    ) -> None:
        self._reservations = CostReservations(self._wake)
        self._journal = journal
        self._store = store
        self._notice = notice
        self._path = path
        self._changed = threading.Condition()
        self._waiting: dict[str, Amount] = dict.fromkeys(behind, NOTHING)
        self._since = time.monotonic() - (SEGMENT_SECONDS if behind else 0)
        self._touched = time.monotonic() - (TOUCH_SECONDS if is_stale else 0)
        self._settled = NOTHING
        self._made: _Made | None = None
        self._number = 0
        self._retry_at: float | None = None
        self._told = False
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="uploader", daemon=True)
        self._thread.start()

    async def cover(self, bound_usd: float) -> None:
        """Returns when a call that costs so much at most may begin: when that is on the store, or the store is away."""
        try:
            await self._reservations.cover(bound_usd)
        except TimeoutError:
            self._reservations.waive()
            self._warn("it does not answer")

    def keep(self, key: str, ended: Amount) -> None:
        """A reply is kept, and with it a call has ended."""
        with self._changed:
            if not self._waiting:
                self._since = time.monotonic()
            self._waiting[key] = self._waiting.get(key, NOTHING).plus(ended)
            if len(self._waiting) in (1, SEGMENT_REPLIES):
                self._changed.notify()

    def settle(self, ended: Amount) -> None:
        """A call has ended, and cannot have cost anything."""
        with self._changed:
            self._settled = self._settled.plus(ended)

    def close(self) -> None:
        """Returns when all is on the store, or, once more, has failed to get there, or takes too long."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        # A thread that hangs ends by itself: its segment is on the store then, or put by the next opening.
        self._thread.join(CLOSE_SECONDS)
        self._warn_of_unsent()

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify()

    def _run(self) -> None:
        while self._wait():
            self._try(self._step)
        self._try(self._finish)

    def _wait(self) -> bool:
        """Returns when something is due; False where it is the end."""
        with self._changed:
            while not self._closing and (seconds := self._find_pause()) > 0:
                self._changed.wait(seconds)
            return not self._closing

    def _find_pause(self) -> float:
        """Seconds until something is due."""
        now = time.monotonic()
        if self._retry_at is not None:
            return self._retry_at - now
        if self._reservations.find_wanted() or self._made or len(self._waiting) >= SEGMENT_REPLIES:
            return 0.0
        touch = self._touched + TOUCH_SECONDS - now
        return min(touch, self._since + SEGMENT_SECONDS - now) if self._waiting else touch

    def _try(self, act: Callable[[], None]) -> None:
        """Does something; whatever goes wrong with it is no reason to stop a run whose replies are kept here."""
        try:
            act()
        except Exception as error:
            self._retry_at = time.monotonic() + RETRY_SECONDS
            self._reservations.waive()
            self._warn(str(error))
            return
        if self._retry_at is not None:
            self._retry_at = None
            self._notice(
                f"{self._store.uri} accepts kept replies again; those that were kept meanwhile are being uploaded"
            )

    def _step(self) -> None:
        self._declare()
        if self._made or self._is_gathered():
            self._put_next()
        if time.monotonic() - self._touched >= TOUCH_SECONDS:
            self._store.touch(self._journal.token)
            self._touched = time.monotonic()

    def _is_gathered(self) -> bool:
        with self._changed:
            late = time.monotonic() - self._since >= SEGMENT_SECONDS
            return len(self._waiting) >= SEGMENT_REPLIES or (bool(self._waiting) and late)

    def _finish(self) -> None:
        while self._made or len(self._waiting) > MOST_REPLIES:
            self._put_next()
        # Whose calls are noted on the store is closed there: what they left open is known, and the rest is free again.
        self._put_next(closing=True)

    def _declare(self) -> None:
        if wanted := self._reservations.find_wanted():
            if not self._reservations.has_reserved:
                self._journal.note_opening()
            self._store.put_begun(self._journal.token, wanted)
            self._reservations.record(wanted)

    def _put_next(self, closing: bool = False) -> None:
        self._made = self._made or self._make(closing)
        if self._made is None:
            return
        content = pack_segment(self._made.segment)
        self._store.put(self._made.name, content)
        self._journal.confirm(self._made.name, len(content), self._made.segment.account)
        self._made = None
        self._touched = time.monotonic()

    def _make(self, closing: bool) -> _Made | None:
        """A segment of what waits; None where that is nothing. Its replies are claimed."""
        with self._changed:
            keys = list(self._waiting)[:MOST_REPLIES]
        self._number += 1
        name, claimed = self._journal.claim(keys, self._number)
        put = self._journal.find_put([key for key in keys if key not in claimed])
        closed = self._journal.list_closable(name) if closing else {}
        with self._changed:
            taken = {key: self._waiting.pop(key) for key in keys}
            settled, self._settled = self._settled, NOTHING
        settled = sum_amounts([settled, *(amount for key, amount in taken.items() if key in claimed or key in put)])
        if not claimed and settled == NOTHING and not closed:
            return None
        replies = tuple(claimed.items())
        return _Made(name, Segment(self._store.plan_id, self._store.handle, replies, Account(settled, closed)))

    def _warn(self, why: str) -> None:
        if not self._told:
            self._told = True
            self._notice(
                f"Kept replies cannot be uploaded to {self._store.uri}: {why}. The run continues and retries; "
                f"meanwhile they are in {self._path}. If this machine is lost before an upload succeeds, their calls "
                "are made again, and what they had cost counts towards no limit"
            )

    def _warn_of_unsent(self) -> None:
        left = len(self._waiting) + (len(self._made.segment.replies) if self._made else 0)
        if left:
            self._notice(
                f"{left} kept replies of plan {self._store.plan_id} are not on {self._store.uri}. The next start on "
                f"this machine uploads them from {self._path}"
            )
