"""What PostgreSQL needs and SQLite does itself: a server that hangs is given up, as one that has gone."""

import math
import time
from collections.abc import Generator, Mapping
from typing import Any, TypeVar

import psycopg
from psycopg.waiting import Ready, Wait

T = TypeVar("T")


def connect(silent_seconds: float, arguments: Mapping[str, Any]) -> psycopg.Connection[Any]:
    """A connection, by libpq's arguments, that breaks when its server says nothing for so long."""
    connection = _Impatient.connect(**arguments)
    connection.silent_seconds = silent_seconds
    return connection


class _Impatient(psycopg.Connection[Any]):
    """A stopped server whose kernel still answers looks alive to TCP, and its own time limits stand still with it."""

    silent_seconds = math.inf

    def wait(self, gen: Generator[Wait, Ready | int, T], *args: Any, **kwargs: Any) -> T:
        """The end of what psycopg does step by step.

        Raises:
            OperationalError: the server hangs, or it waits for another one's lock.
        """
        return super().wait(self._watch(gen), *args, **kwargs)

    def _watch(self, gen: Generator[Wait, Ready | int, T]) -> Generator[Wait, Ready | int, T]:
        heard_at = time.monotonic()
        try:
            wanted = next(gen)
            while True:
                # It is sent READY_NONE ten times a second while nothing comes.
                if ready := (yield wanted):
                    heard_at = time.monotonic()
                elif time.monotonic() > heard_at + self.silent_seconds:
                    self.pgconn.finish()
                    raise psycopg.OperationalError(f"it has said nothing for {self.silent_seconds:g} s")
                wanted = gen.send(ready)
        except StopIteration as end:
            done: T = end.value
            return done
