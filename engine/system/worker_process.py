"""Runs heavy Python work in a second process, so that work which holds the GIL does not stop the runs in this one.

The two exchange pickles, each preceded by its length, over the worker's stdin and stdout. The standard library's
process pools cannot be used: they import the program's main module again, which may have no ``__main__`` guard.
"""

import asyncio
import os
import pickle
import struct
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, BinaryIO, Protocol, TypeVar

LENGTH = struct.Struct(">Q")
Result = TypeVar("Result")


class RunHeavy(Protocol):
    """Does a work that holds Python's lock for long: in a worker process, or here."""

    async def __call__(self, work: Callable[[], Result]) -> Result:
        """What the work gives or raises; the work, its result and its error can be pickled."""


async def run_here(work: Callable[[], Result]) -> Result:
    """Does a work in this process and on this thread: for a run that shares its process with no other."""
    return work()


class WorkerProcess:
    """One worker process, started by ``start`` or by the first ``run``; it ends when this process ends, even if killed.

    Work is any callable without arguments that can be pickled; its result or exception must be picklable too.
    """

    def __init__(self, warn: Callable[[str], None]) -> None:
        self._warn = warn
        self._process: Process | None = None
        self._lock = asyncio.Lock()
        self._closed = False

    async def start(self) -> None:
        """Starts the process, unless it runs already."""
        if self._process is None:
            # In a session of its own: Ctrl-C is this process's to hear.
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", __name__, stdin=PIPE, stdout=PIPE, start_new_session=True
            )

    async def run(self, work: Callable[[], Result]) -> Result:
        """Returns or raises what the work does, one piece of work at a time.

        If the process dies, the work is done in this process, and the next call starts a new worker.
        """
        # The answer is read even if the caller is cancelled: else the next caller would receive it.
        return await asyncio.shield(asyncio.create_task(self._run_locked(work)))

    async def close(self) -> None:
        """Kills the process, even in the middle of its work."""
        self._closed = True
        await self._end()

    async def _run_locked(self, work: Callable[[], Result]) -> Result:
        async with self._lock:
            if self._closed:
                # The caller is gone, and no new process may be started after the end.
                raise BrokenPipeError("The worker process is closed")
            try:
                await self.start()
                succeeded, result = await self._ask(pickle.dumps(work))
            except (OSError, asyncio.IncompleteReadError) as error:
                if self._closed:
                    raise
                self._warn(
                    "The worker process failed, perhaps because memory ran out. Its work is done in this process: "
                    f"{error}"
                )
                await self._end()
                return await asyncio.to_thread(work)
        if not succeeded:
            raise result
        returned: Result = result
        return returned

    async def _ask(self, content: bytes) -> tuple[bool, Any]:
        assert self._process is not None
        writer, reader = self._process.stdin, self._process.stdout
        assert writer is not None
        assert reader is not None
        writer.write(LENGTH.pack(len(content)) + content)
        await writer.drain()
        [length] = LENGTH.unpack(await reader.readexactly(LENGTH.size))
        # Safe to unpickle: both ends are this program, and no other process has the pipe.
        answer: tuple[bool, Any] = pickle.loads(await reader.readexactly(length))  # noqa: S301
        return answer

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()


@asynccontextmanager
async def open_worker_process(
    warn: Callable[[str], None], prepare: Callable[[], object]
) -> AsyncIterator[WorkerProcess]:
    """Starts a worker process that ends with the block.

    Args:
        warn: called with a sentence when the process dies.
        prepare: the first work, such as slow imports, which is done while the block goes on.
    """
    worker = WorkerProcess(warn)
    preparing = asyncio.create_task(worker.run(prepare))
    try:
        yield worker
    finally:
        await worker.close()
        await asyncio.gather(preparing, return_exceptions=True)


def serve(works: BinaryIO, answers: BinaryIO) -> None:
    """The worker's main loop: does one piece of work after another, until its stdin closes."""
    while (work := _read(works)) is not None:
        content = pickle.dumps(_do(work))
        answers.write(LENGTH.pack(len(content)) + content)
        answers.flush()


def _do(work: bytes) -> tuple[bool, object]:
    """Whether the work succeeded, and its result or its error."""
    try:
        return True, pickle.loads(work)()  # noqa: S301
    except Exception as error:
        return False, error


def _read(works: BinaryIO) -> bytes | None:
    """The next message; None when the pipe ends, even in the middle of a message."""
    header = works.read(LENGTH.size)
    if len(header) < LENGTH.size:
        return None
    [length] = LENGTH.unpack(header)
    content = works.read(length)
    return content if len(content) == length else None


if __name__ == "__main__":
    # Whatever a library prints to stdout goes to stderr: it would corrupt the stream of answers.
    own = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    with suppress(BrokenPipeError):
        serve(sys.stdin.buffer, own)
