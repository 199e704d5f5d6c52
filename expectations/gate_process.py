"""The gate in a process of its own: runs that share a process go on while it works, on another core where there is one.

Great Expectations holds Python's lock for some 0.14 s a run (docs/decisions/022), in which no other run of its process
gets on.
"""

import asyncio
import os
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import asynccontextmanager, contextmanager
from multiprocessing import get_context, parent_process
from typing import TypeVar

from expectations.gate import import_gx

Result = TypeVar("Result")


class GateProcess:
    """Starts its process with the first work, or when it is told to ``begin``; it ends with this one, however."""

    def __init__(self, warn: Callable[[str], None]) -> None:
        self._warn = warn
        self._pool: ProcessPoolExecutor | None = None

    def begin(self) -> None:
        """Starts the process, which imports what the gate needs meanwhile."""
        if self._pool is None:
            self._pool = ProcessPoolExecutor(1, get_context("spawn"), initializer=_settle)
            with _blocking_interrupts():
                self._pool.submit(_prepare)

    async def run(self, work: Callable[[], Result]) -> Result:
        """What the work gives. Where the process is killed, this one does it, and the next work gets another one."""
        self.begin()
        pool = self._pool
        try:
            return await asyncio.get_running_loop().run_in_executor(pool, work)
        except BrokenProcessPool:
            self._warn("The gate's process was ended from outside, by want of memory perhaps; this one does its work")
            if self._pool is pool:
                self.close()
            return await asyncio.to_thread(work)

    def close(self) -> None:
        """Ends the process; what it has not begun is not done."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
        self._pool = None


@asynccontextmanager
async def open_gate_process(warn: Callable[[str], None]) -> AsyncIterator[GateProcess]:
    """A gate whose process begins at once and ends with the block."""
    gate = GateProcess(warn)
    gate.begin()
    try:
        yield gate
    finally:
        gate.close()


def _settle() -> None:
    """What the process does first: an interrupt is its parent's to hear, and without a parent it has nothing to do."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()
    assert parent is not None

    def end_with_parent() -> None:
        parent.join()
        os._exit(0)

    threading.Thread(target=end_with_parent, daemon=True).start()


def _prepare() -> None:
    import_gx()


@contextmanager
def _blocking_interrupts() -> Iterator[None]:
    """A process that is started inside the block hears no Ctrl-C, not even before it can settle."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
