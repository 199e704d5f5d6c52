"""The one writer of a process to a database: a thread that commits, in one transaction, whatever waits."""

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import ClassVar, TypeVar

from sqlalchemy import Connection, delete
from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_exponential

from engine.errors import StoreAwayError, StoreError
from engine.llm.replies.changes import DEAD_SECONDS, Change, OpenPlan, Outcome, apply_changes, beat, touch_plans
from engine.llm.replies.database import Database, find_file, name_database
from engine.llm.replies.tables import Clock, openings
from engine.settings import RepliesPlace

T = TypeVar("T")
Notice = Callable[[str], None]

BEAT_SECONDS = DEAD_SECONDS / 3
# Between two tries at a database that is away.
MIN_PAUSE_SECONDS, MAX_PAUSE_SECONDS = 0.1, 2.0
# How long the end of a run waits for a database that is away.
CLOSE_SECONDS = 10.0


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    """A change, and who is told of it, if anybody is."""

    change: Change
    future: asyncio.Future[Outcome] | None


@dataclass(frozen=True, slots=True, eq=False)
class _Closing:
    """An opening that ends once what is in front of it is committed."""

    plan: OpenPlan
    done: threading.Event = field(default_factory=threading.Event)


class Writer:
    """Makes the changes of all openings of a database in this process, in the order in which they come.

    A sync of the disk takes no time of an event loop's, and serves all who wait for one. A database that goes away is
    waited for: nothing that waits is lost, and no call begins that is not noted.
    """

    _shared: ClassVar[dict[str, "Writer"]] = {}
    _sharing = threading.Lock()
    # A database that this process has had: from then on it is waited for.
    _known: ClassVar[set[str]] = set()

    def __init__(self, place: RepliesPlace) -> None:
        self.name = name_database(place)
        self._place = place
        self._users = 0
        self._openings: dict[OpenPlan, Notice] = {}
        self._connecting = threading.Lock()
        self._database: Database | None = None
        self._away_since: float | None = None
        self._is_told = False
        self._queue: queue.SimpleQueue[_Waiting | _Closing | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="reply-writer", daemon=True)
        self._thread.start()

    @classmethod
    def share(cls, place: RepliesPlace) -> "Writer":
        """The writer of this process to that database, to be ``release``d."""
        with cls._sharing:
            key = place.url or str(find_file(place))
            if key not in cls._shared:
                cls._shared[key] = cls(place)
            cls._shared[key]._users += 1
            return cls._shared[key]

    def release(self) -> None:
        """Ends the thread where nobody uses it any more, and closes the database."""
        with self._sharing:
            self._users -= 1
            if self._users:
                return
            del self._shared[self._place.url or str(find_file(self._place))]
        self._queue.put(None)
        self._thread.join(CLOSE_SECONDS)
        if self._database and not self._thread.is_alive():
            self._database.close()

    def open(self, plan: OpenPlan, notice: Notice, act: Callable[[Connection], T]) -> T:
        """Notes that a plan is open, and does something with the database in the same step.

        Args:
            notice: is told where the database goes away or is back, from whichever thread.

        Raises:
            StoreError: the database cannot be reached at once, or, if it could be before, stays away; or it cannot be
                written.
        """

        def begin(connection: Connection) -> T:
            beat(connection, [plan])
            connection.execute(delete(openings).where(openings.c.beat_at < Clock() - DEAD_SECONDS))
            return act(connection)

        self._openings[plan] = notice
        try:
            if self.name not in self._known:
                opened = self._connect().change(begin)
                self._known.add(self.name)
                return opened
            return self._persist(begin)
        except BaseException:
            del self._openings[plan]
            raise

    def list_openings(self) -> list[str]:
        """The openings of this process that are live."""
        return [plan.opening for plan in list(self._openings)]

    async def write(self, change: Change) -> Outcome:
        """What comes of a change, once it is committed; it is committed too where the caller gives up.

        Raises:
            StoreError: it could not be committed.
        """
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._queue.put(_Waiting(change, future))
        return await future

    def hand(self, change: Change) -> None:
        """Has a change made that nobody waits for."""
        self._queue.put(_Waiting(change, None))

    def close(self, plan: OpenPlan) -> None:
        """Returns when all that was handed over is committed, or could not be, and the plan is open no longer.

        Where the database is away, that the plan is open no longer is seen by its silence.
        """
        closing = _Closing(plan)
        self._queue.put(closing)
        closing.done.wait(0.0 if self._is_patience_over() else CLOSE_SECONDS)
        self._openings.pop(plan, None)

    def _connect(self) -> Database:
        with self._connecting:
            if self._database is None:
                self._database = Database(self._place)
            return self._database

    def _run(self) -> None:
        more, beaten_at = True, time.monotonic()
        while more:
            group, more = self._take()
            live: Sequence[OpenPlan] = ()
            if self._database and time.monotonic() >= beaten_at + BEAT_SECONDS:
                beaten_at, live = time.monotonic(), list(self._openings)
            if group or live:
                self._write(group, live)

    def _take(self) -> tuple[list[_Waiting | _Closing], bool]:
        """All that waits, once something does or it is time to say who lives; and whether more may come."""
        group: list[_Waiting | _Closing] = []
        with suppress(queue.Empty):
            item = self._queue.get(timeout=BEAT_SECONDS)
            while item is not None:
                group.append(item)
                item = self._queue.get_nowait()
            return group, False
        return group, True

    def _write(self, group: Sequence[_Waiting | _Closing], live: Sequence[OpenPlan]) -> None:
        """Commits a group, and says, where it is time to, which openings live."""
        waiting = [item for item in group if isinstance(item, _Waiting)]
        closing = [item for item in group if isinstance(item, _Closing)]

        def act(connection: Connection) -> list[Outcome]:
            outcomes = apply_changes(connection, [item.change for item in waiting])
            if live:
                beat(connection, live)
            if closing:
                touch_plans(connection, [item.plan for item in closing])
            for item in closing:
                connection.execute(delete(openings).where(openings.c.opening == item.plan.opening))
            return outcomes

        try:
            outcomes: Sequence[Outcome | StoreError] = self._persist(act)
        except Exception as error:
            # Whatever it is: nobody may wait for ever.
            outcomes = [StoreError(str(error) or repr(error)) for _ in waiting]
        _wake(waiting, outcomes)
        for item in closing:
            self._openings.pop(item.plan, None)
            item.done.set()

    def _persist(self, act: Callable[[Connection], T]) -> T:
        """Does something with a database that may be away, for as long as the patience lasts.

        Where it was away before, as long as is left: who waits behind another waits no longer than that one.
        """
        trying = Retrying(
            retry=retry_if_exception_type(StoreAwayError),
            stop=self._gives_up,
            wait=wait_exponential(MIN_PAUSE_SECONDS, MAX_PAUSE_SECONDS),
            before_sleep=self._notice_away,
            reraise=True,
        )
        try:
            done: T = trying(lambda: self._connect().change(act))
        except StoreAwayError as error:
            raise StoreError(self._describe_end(str(error))) from error
        self._away_since = None
        if self._is_told:
            self._is_told = False
            self._tell(f"{self.name} answers again, and replies are kept: the run continues")
        return done

    def _gives_up(self, _: RetryCallState) -> bool:
        self._away_since = self._away_since or time.monotonic()
        return self._is_patience_over()

    def _is_patience_over(self) -> bool:
        since = self._away_since
        return since is not None and time.monotonic() >= since + self._place.patience_seconds

    def _notice_away(self, state: RetryCallState) -> None:
        if not self._is_told:
            self._is_told = True
            why = state.outcome.exception() if state.outcome else None
            seconds = self._place.patience_seconds
            self._tell(f"{why}. No call begins meanwhile; it is waited for up to {seconds:g} s")

    def _describe_end(self, why: str) -> str:
        return (
            f"{why}. It was waited for {self._place.patience_seconds:g} s (EXEMPLARS_PATIENCE_SECONDS). Start again "
            f"when {self.name} answers: what was kept stays, and calls whose replies could not be kept count as spent"
        )

    def _tell(self, text: str) -> None:
        """Tells each plan's run once, however often it has the plan open."""
        for notice in {plan.plan_id: notice for plan, notice in list(self._openings.items())}.values():
            notice(text)


def _wake(group: Sequence[_Waiting], outcomes: Sequence[Outcome | StoreError]) -> None:
    """Tells all who wait, in one step of each one's loop."""
    told: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Outcome], Outcome | StoreError]]] = {}
    for waiting, outcome in zip(group, outcomes, strict=True):
        if waiting.future is not None:
            told.setdefault(waiting.future.get_loop(), []).append((waiting.future, outcome))
    for loop, futures in told.items():
        # In a loop that is closed nobody waits.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(_settle, futures)


def _settle(futures: Sequence[tuple[asyncio.Future[Outcome], Outcome | StoreError]]) -> None:
    for future, outcome in futures:
        if future.done():
            continue
        if isinstance(outcome, StoreError):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)
