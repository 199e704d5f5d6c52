"""The one writer of a process to a database: a thread that commits, in one transaction, whatever waits."""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from typing import ClassVar

from sqlalchemy import Connection

from engine.errors import StoreError
from engine.llm.replies.changes import DEAD_SECONDS, Change, Outcome, PlanSession, apply_changes
from engine.llm.replies.database import Database
from engine.settings import DatabaseUrl

# A change, and who waits for what comes of it.
Waiting = tuple[Change, "Future[Outcome]"]

BEAT_SECONDS = DEAD_SECONDS / 3


class Writer:
    """Makes the changes of all openings of a database in this process, in the order in which they come.

    A sync of the disk takes no time of an event loop's, and serves all who wait for one.

    Raises:
        StoreError: the database cannot be reached or written.
    """

    _shared: ClassVar[dict[DatabaseUrl, "Writer"]] = {}
    _sharing = threading.Lock()

    def __init__(self, place: DatabaseUrl) -> None:
        self._database = Database(place)
        self._place = place
        self._users = 0
        self._openings: set[PlanSession] = set()
        self._queue: queue.SimpleQueue[Waiting | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="reply-writer", daemon=True)
        self._thread.start()

    @classmethod
    def open(
        cls, place: DatabaseUrl, opening: PlanSession, load: Callable[[Connection, Sequence[str]], None]
    ) -> "Writer":
        """The writer of this process to that database, once it is noted that a plan is open.

        Args:
            load: reads what is kept of the plan; it is given the live openings of this process too.

        Raises:
            StoreError: the database cannot be read or written.
        """
        with cls._sharing:
            if place not in cls._shared:
                cls._shared[place] = cls(place)
            writer = cls._shared[place]
            writer._users += 1
        try:
            writer.hand(opening).result()
            writer._openings.add(opening)
            live = [each.opening for each in list(writer._openings)]
            writer._database.read(lambda connection: load(connection, live))
        except BaseException:
            writer.close(opening)
            raise
        return writer

    def close(self, opening: PlanSession) -> None:
        """Returns when all that was handed over is committed, or could not be, and the plan is open no longer.

        With the last opening the thread ends and the database is closed.
        """
        self._openings.discard(opening)
        with suppress(StoreError):
            self.hand(replace(opening, is_open=False)).result()
        with self._sharing:
            self._users -= 1
            if self._users:
                return
            del self._shared[self._place]
        self._queue.put(None)
        self._thread.join()
        self._database.close()

    def hand(self, change: Change) -> "Future[Outcome]":
        """Has a change made, and committed, whether anybody waits for what comes of it or not.

        The result is a ``StoreError`` where it could not be committed.
        """
        waiting: Future[Outcome] = Future()
        self._queue.put((change, waiting))
        return waiting

    def _run(self) -> None:
        more, beaten_at = True, time.monotonic()
        while more:
            group, more = self._take()
            if time.monotonic() >= beaten_at + BEAT_SECONDS:
                beaten_at = time.monotonic()
                group = [*((opening, Future[Outcome]()) for opening in list(self._openings)), *group]
            if group:
                self._commit(group)

    def _take(self) -> tuple[list[Waiting], bool]:
        """All that waits, once something does or it is time to say who lives; and whether more may come."""
        group: list[Waiting] = []
        with suppress(queue.Empty):
            item = self._queue.get(timeout=BEAT_SECONDS)
            while item is not None:
                group.append(item)
                item = self._queue.get_nowait()
            return group, False
        return group, True

    def _commit(self, group: Sequence[Waiting]) -> None:
        try:
            outcomes = self._database.change(
                lambda connection: apply_changes(connection, [change for change, _ in group])
            )
        except Exception as error:
            # Whatever it is: nobody may wait for ever.
            for _, waiting in group:
                waiting.set_exception(StoreError(str(error) or repr(error)))
            return
        for (_, waiting), outcome in zip(group, outcomes, strict=True):
            waiting.set_result(outcome)
