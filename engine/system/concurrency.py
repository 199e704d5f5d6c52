"""Helpers for tasks and threads: fields for log lines, repetition, and errors and cancellation that suit a run.

A step sets fields such as run and cell at its beginning; log lines read them. Each task has its own fields, and so has
each thread that runs in a copy of its caller's context. Runs that share a process do not see each other's fields.
"""

import asyncio
import contextvars
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, suppress
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any, TypeVar

Result = TypeVar("Result")
Other = TypeVar("Other")
_FIELDS: ContextVar[Mapping[str, object]] = ContextVar("exemplars.log_context", default=MappingProxyType({}))


@contextmanager
def holding(variable: ContextVar[Result], value: Result) -> Iterator[None]:
    """Set a variable for the block, and for tasks and threads started in it."""
    token = variable.set(value)
    try:
        yield
    finally:
        variable.reset(token)


def log_context(**fields: object) -> AbstractContextManager[None]:
    """Add fields to every log line of the block, and of tasks and threads started in it."""
    return holding(_FIELDS, {**_FIELDS.get(), **fields})


def add_log_context(**fields: object) -> None:
    """Add fields to the log lines of this task until its innermost ``log_context`` block ends."""
    _FIELDS.set({**_FIELDS.get(), **fields})


def read_log_context() -> Mapping[str, object]:
    """Return the fields of a log line that is written now."""
    return _FIELDS.get()


@contextmanager
def repeating_in_thread(
    work: Callable[[], object], seconds: float, join_seconds: float | None = None
) -> Iterator[None]:
    """Repeat a piece of work every ``seconds`` while the block runs, even if the event loop or the caller is busy.

    The thread runs in a copy of its caller's context, as Prefect's client needs. The copy is slow, so it is made once.

    Args:
        work: ends the repetition if it returns False.
        join_seconds: how long the end of the block waits for running work; None: until the work is done.
    """
    stopping = threading.Event()

    def repeat() -> None:
        while not stopping.wait(seconds) and work() is not False:
            pass

    thread = threading.Thread(target=contextvars.copy_context().run, args=(repeat,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join(join_seconds)


async def gather_or_cancel(coroutines: Iterable[Coroutine[Any, Any, Result]]) -> list[Result]:
    """Run coroutines concurrently and return their results in order.

    When one fails, the others are cancelled and awaited, and the first error is raised unchanged. ``asyncio.TaskGroup``
    would raise an ``ExceptionGroup``, which hides the error's type, and callers decide by that type what to do.
    """
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(coroutine) for coroutine in coroutines]
    except BaseExceptionGroup as errors:
        first: BaseException = errors
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        raise first from None
    return [task.result() for task in tasks]


async def both_or_neither(one: Coroutine[Any, Any, Result], other: Coroutine[Any, Any, Other]) -> tuple[Result, Other]:
    """Run two coroutines with results of different types, as ``gather_or_cancel`` does."""
    results: list[Any] = await gather_or_cancel([one, other])
    return results[0], results[1]


class InTurn:
    """A lock that admits one caller at a time, in the order of their numbers from 0, whenever they arrive."""

    def __init__(self) -> None:
        self._next = 0
        self._moved = asyncio.Condition()

    @asynccontextmanager
    async def turn(self, number: int) -> AsyncIterator[None]:
        """Wait before the block until the blocks of all lower numbers have ended."""
        async with self._moved:
            await self._moved.wait_for(lambda: self._next == number)
        yield
        async with self._moved:
            self._next += 1
            self._moved.notify_all()


async def cancel_once(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """Await a coroutine and cancel it at most once, even if the caller is cancelled several times.

    httpx closes the connection of a cancelled request, but leaves it open if it is cancelled again while closing.
    SIGTERM in a flow run causes that: it cancels every task, and each task group then cancels its own tasks again.
    """
    task = asyncio.create_task(coroutine)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        if not task.cancelling():
            task.cancel()
        while not task.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([task])
        raise
