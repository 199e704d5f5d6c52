"""The single writer of a process to a database: a thread that commits all waiting changes in one transaction."""

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

# A change, and the future of its outcome.
Waiting = tuple[Change, "Future[Outcome]"]

BEAT_SECONDS = DEAD_SECONDS / 3


class Writer:
    """The writer of all sessions of a database in this process; it makes changes in the order of their arrival.

    So a sync of the disk does not block an event loop, and one sync serves all waiting changes.

    Raises:
        StoreError: the database cannot be reached or written.
    """

    _shared: ClassVar[dict[DatabaseUrl, "Writer"]] = {}
    _sharing = threading.Lock()

    def __init__(self, place: DatabaseUrl) -> None:
        self._database = Database(place)
        self._place = place
        self._users = 0
        self._sessions: set[PlanSession] = set()
        self._queue: queue.SimpleQueue[Waiting | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="reply-writer", daemon=True)
        self._thread.start()

    @classmethod
    def open(
        cls, place: DatabaseUrl, session: PlanSession, load: Callable[[Connection, Sequence[str]], None]
    ) -> "Writer":
        """Record that a plan is open, and return this process's writer to the database.

        Args:
            load: reads the plan's stored data; its second argument is the live sessions of this process.

        Raises:
            StoreError: the database cannot be read or written.
        """
        with cls._sharing:
            if place not in cls._shared:
                cls._shared[place] = cls(place)
            writer = cls._shared[place]
            writer._users += 1
        try:
            writer.hand(session).result()
            writer._sessions.add(session)
            live = [each.opening for each in list(writer._sessions)]
            writer._database.read(lambda connection: load(connection, live))
        except BaseException:
            writer.close(session)
            raise
        return writer

    def close(self, session: PlanSession) -> None:
        """Wait until all changes handed over are committed or have failed, and record that the session is over.

        With the last session the thread ends and the database is closed.
        """
        self._sessions.discard(session)
        with suppress(StoreError):
            self.hand(replace(session, is_open=False)).result()
        with self._sharing:
            self._users -= 1
            if self._users:
                return
            del self._shared[self._place]
        self._queue.put(None)
        self._thread.join()
        self._database.close()

    def hand(self, change: Change) -> "Future[Outcome]":
        """Queue a change to be committed, and return the future of its outcome; nobody needs to await it.

        The future raises ``StoreError`` if the change could not be committed.
        """
        waiting: Future[Outcome] = Future()
        self._queue.put((change, waiting))
        return waiting

    def _run(self) -> None:
        is_running, beaten_at = True, time.monotonic()
        while is_running:
            group, is_running = self._take()
            if time.monotonic() >= beaten_at + BEAT_SECONDS:
                beaten_at = time.monotonic()
                group = [*((session, Future[Outcome]()) for session in list(self._sessions)), *group]
            if group:
                self._commit(group)

    def _take(self) -> tuple[list[Waiting], bool]:
        """Wait for changes or for the next heartbeat; return the waiting changes, and whether more may follow."""
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
            # Any error is passed on, so that nobody waits for ever.
            for _, waiting in group:
                waiting.set_exception(StoreError(str(error) or repr(error)))
            return
        for (_, waiting), outcome in zip(group, outcomes, strict=True):
            waiting.set_result(outcome)
