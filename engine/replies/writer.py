"""Group commit: one thread writes, in one transaction, whatever the callers of an event loop have queued."""

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Generic, TypeVar

from engine.errors import StoreError

ChangeT = TypeVar("ChangeT")
ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting(Generic[ChangeT, ResultT]):
    """A change, and who is told of it, if anybody is."""

    change: ChangeT
    future: asyncio.Future[ResultT] | None


class GroupWriter(Generic[ChangeT, ResultT]):
    """Hands changes to ``commit`` in the order in which they come, one group at a time, as many as wait.

    A sync of the disk takes no time of the loop's, and serves all who wait for one. After a group that could not be
    committed nothing is written any more: each later change is refused with the same words.
    """

    def __init__(self, commit: Callable[[Sequence[ChangeT]], Sequence[ResultT]]) -> None:
        self._commit = commit
        self._queue: queue.SimpleQueue[_Waiting[ChangeT, ResultT] | None] = queue.SimpleQueue()
        self._refusal: str | None = None
        self._failure: str | None = None
        self._thread = threading.Thread(target=self._run, name="group-writer", daemon=True)
        self._thread.start()

    async def write(self, change: ChangeT) -> ResultT:
        """What ``commit`` has for the change, once it is committed; it is committed too where the caller gives up.

        Raises:
            StoreError: it could not be committed, or an earlier one could not, or the writer is closed.
        """
        if refusal := self._failure or self._refusal:
            raise StoreError(refusal)
        future: asyncio.Future[ResultT] = asyncio.get_running_loop().create_future()
        self._queue.put(_Waiting(change, future))
        return await future

    def hand(self, change: ChangeT) -> None:
        """Has a change written that nobody waits for."""
        self._queue.put(_Waiting(change, None))

    def close(self) -> None:
        """Returns when all that was handed over is committed."""
        self._refusal = "The replies are closed, and nothing is kept any more"
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        more = True
        while more:
            group, more = self._take()
            _wake(group, self._write(group))

    def _take(self) -> tuple[list[_Waiting[ChangeT, ResultT]], bool]:
        """All that waits, once something does; and whether more may come."""
        group: list[_Waiting[ChangeT, ResultT]] = []
        item = self._queue.get()
        while item is not None:
            group.append(item)
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                return group, True
        return group, False

    def _write(self, group: Sequence[_Waiting[ChangeT, ResultT]]) -> Sequence[ResultT | StoreError]:
        if self._failure is None and group:
            try:
                return self._commit([waiting.change for waiting in group])
            except Exception as error:
                # Whatever it is: nobody may wait for ever.
                self._failure = str(error) or repr(error)
        return [StoreError(self._failure or "") for _ in group]


def _wake(group: Sequence[_Waiting[ChangeT, ResultT]], outcomes: Sequence[ResultT | StoreError]) -> None:
    """Tells all who wait, in one step of each one's loop."""
    told: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[ResultT], ResultT | StoreError]]] = {}
    for waiting, outcome in zip(group, outcomes, strict=True):
        if waiting.future is not None:
            told.setdefault(waiting.future.get_loop(), []).append((waiting.future, outcome))
    for loop, futures in told.items():
        # In a loop that is closed nobody waits.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(_settle, futures)


def _settle(futures: Sequence[tuple[asyncio.Future[ResultT], ResultT | StoreError]]) -> None:
    for future, outcome in futures:
        if future.done():
            continue
        if isinstance(outcome, StoreError):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)
