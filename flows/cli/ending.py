"""Ends a command's run once, whatever signals come, and however many."""

import asyncio
import signal
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

from engine.errors import RunInterruptedError
from engine.system.guard import SIGNALS


@contextmanager
def ending_once() -> Iterator[Callable[[Coroutine[Any, Any, Any]], Any]]:
    """Has the first signal interrupt the block, and all later ones change nothing until the process has ended.

    The block is given what runs a coroutine, which is then cancelled and ends in its own order. A signal that is
    ignored already, as by nohup, stays so.

    Raises:
        RunInterruptedError: a signal came.
    """
    tasks: list[Any] = []

    def end(*_: object) -> None:
        for number in handlers:
            signal.signal(number, signal.SIG_IGN)
        if not tasks:
            raise KeyboardInterrupt
        # One that is done needs no end, and its loop may be closed.
        if not tasks[0].done():
            tasks[0].get_loop().call_soon_threadsafe(tasks[0].cancel)

    async def follow(work: Coroutine[Any, Any, Any]) -> Any:
        tasks.append(asyncio.current_task())
        return await work

    handlers = {number: had for number in SIGNALS if (had := signal.getsignal(number)) is not signal.SIG_IGN}
    for number in handlers:
        signal.signal(number, end)
    try:
        yield lambda work: asyncio.run(follow(work))
    except (KeyboardInterrupt, asyncio.CancelledError):
        raise RunInterruptedError(
            "interrupted. The replies so far are kept: the next start continues from them"
        ) from None
    finally:
        for number, handler in handlers.items():
            if signal.getsignal(number) is end:
                signal.signal(number, handler)
