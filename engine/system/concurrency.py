"""What tasks and threads need besides: fields for their log lines, and errors and ends that fit a run.

Fields such as run and cell are set where a step begins and read where a line is written. Each task has its own, and so
has each thread that runs in a copy of its caller's context. Runs that share a process do not see each other's.
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
    """The variable has the value inside the block, and in tasks and threads started in it."""
    token = variable.set(value)
    try:
        yield
    finally:
        variable.reset(token)


def log_context(**fields: object) -> AbstractContextManager[None]:
    """Adds fields to every log line that is written inside the block, or by tasks and threads started in it."""
    return holding(_FIELDS, {**_FIELDS.get(), **fields})


def add_log_context(**fields: object) -> None:
    """Adds fields to the log lines of this task until its innermost ``log_context`` block ends."""
    _FIELDS.set({**_FIELDS.get(), **fields})


def read_log_context() -> Mapping[str, object]:
    """The fields that a log line written now would carry."""
    return _FIELDS.get()


@contextmanager
def repeating_in_thread(
    work: Callable[[], object], seconds: float, join_seconds: float | None = None
) -> Iterator[None]:
    """Does something every so many seconds while the block runs, whatever keeps the event loop or the caller busy.

    The thread has a copy of its caller's context, as Prefect's client needs; to have it is slow, so it has it once.

    Args:
        work: ends the repetition where it returns False.
        join_seconds: for how long the end of the block waits for work under way; None: until that is done.
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
    """Runs coroutines concurrently and returns their results in order.

    When one fails, the others are cancelled and awaited, and the first error is raised as itself. ``asyncio.TaskGroup``
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
    """``gather_or_cancel`` for two coroutines that return different things."""
    results: list[Any] = await gather_or_cancel([one, other])
    return results[0], results[1]


class InTurn:
    """Lets callers who come in any order go on one after the other, by their numbers from 0."""

    def __init__(self) -> None:
        self._next = 0
        self._moved = asyncio.Condition()

    @asynccontextmanager
    async def turn(self, number: int) -> AsyncIterator[None]:
        """Has the block wait until all lower numbers have been through theirs."""
        async with self._moved:
            await self._moved.wait_for(lambda: self._next == number)
        yield
        async with self._moved:
            self._next += 1
            self._moved.notify_all()


async def cancel_once(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """Awaits a coroutine and cancels it at most once, even if the caller is cancelled several times.

    httpx closes the connection of a cancelled request, but leaves it open when it is cancelled again while closing.
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
