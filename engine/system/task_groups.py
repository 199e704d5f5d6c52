"""Running together: all of some awaitables, or the first error that one raises, as itself; and one to its end."""

import asyncio
from collections.abc import Coroutine, Iterable
from contextlib import suppress
from typing import Any, TypeVar

Result = TypeVar("Result")


async def run_together(coroutines: Iterable[Coroutine[Any, Any, Result]]) -> list[Result]:
    """The results in the order of the coroutines; when one fails the others are cancelled and awaited first.

    ``asyncio.TaskGroup`` does the same but raises a group, which hides the type that says what to do.
    """
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(coroutine) for coroutine in coroutines]
    except BaseExceptionGroup as errors:
        raise _first(errors) from None
    return [task.result() for task in tasks]


async def cancel_once(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """The result of a coroutine that is cancelled no more than once, however often its caller is, and then awaited.

    httpx closes the connection of a request that is cancelled, and leaves it open when it is cancelled again while it
    does so. SIGTERM in a flow run does that: it cancels every task, and the groups of tasks then cancel theirs.
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
