"""Runs coroutines concurrently with the errors and cancellation that a run needs, where asyncio's own do not fit."""

import asyncio
from collections.abc import Coroutine, Iterable
from contextlib import suppress
from typing import Any, TypeVar

Result = TypeVar("Result")
Other = TypeVar("Other")


async def gather_or_cancel(coroutines: Iterable[Coroutine[Any, Any, Result]]) -> list[Result]:
    """Runs coroutines concurrently and returns their results in order.

    When one fails, the others are cancelled and awaited, and the first error is raised as itself. ``asyncio.TaskGroup``
    would raise an ``ExceptionGroup``, which hides the error's type, and callers decide by that type what to do.
    """
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(coroutine) for coroutine in coroutines]
    except BaseExceptionGroup as errors:
        raise _first(errors) from None
    return [task.result() for task in tasks]


async def both_or_neither(one: Coroutine[Any, Any, Result], other: Coroutine[Any, Any, Other]) -> tuple[Result, Other]:
    """``gather_or_cancel`` for two coroutines that return different things."""
    results: list[Any] = await gather_or_cancel([one, other])
    return results[0], results[1]


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


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
