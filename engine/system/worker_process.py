"""A process beside this one for what holds Python's lock for long: the runs that share this one go on meanwhile.

The two speak in pickles through the pipes of stdin and stdout, each after its length: the standard library's pools
would import the program's main module once more, which may have no guard.
"""

import asyncio
import os
import pickle
import struct
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, BinaryIO, TypeVar

LENGTH = struct.Struct(">Q")
Result = TypeVar("Result")


class SideProcess:
    """Starts its process when it is told to ``begin``, or with the first work; it ends with this one, however.

    A work is anything that can be pickled and called, and so are what it gives and raises.
    """

    def __init__(self, warn: Callable[[str], None]) -> None:
        self._warn = warn
        self._process: Process | None = None
        self._turn = asyncio.Lock()
        self._closed = False

    async def begin(self) -> None:
        """Starts the process."""
        if self._process is None:
            # In a session of its own: Ctrl-C is this process's to hear.
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", __name__, stdin=PIPE, stdout=PIPE, start_new_session=True
            )

    async def run(self, work: Callable[[], Result]) -> Result:
        """What the work gives or raises. Where the process is lost, this one does it, and the next gets another."""
        # Whoever asked may be cancelled; the answer is read all the same, or the next one would get it.
        return await asyncio.shield(asyncio.create_task(self._take_turn(work)))

    async def close(self) -> None:
        """Ends the process, whatever it is at."""
        self._closed = True
        await self._end()

    async def _take_turn(self, work: Callable[[], Result]) -> Result:
        async with self._turn:
            if self._closed:
                # Whoever asked is gone; there must be no process after the end.
                raise BrokenPipeError("The process beside this one is closed")
            try:
                await self.begin()
                succeeded, result = await self._ask(pickle.dumps(work))
            except (OSError, asyncio.IncompleteReadError) as error:
                if self._closed:
                    raise
                self._warn(
                    f"The process beside this one is lost, for want of memory perhaps; its work is done here: {error}"
                )
                await self._end()
                return await asyncio.to_thread(work)
        if not succeeded:
            raise result
        given: Result = result
        return given

    async def _ask(self, content: bytes) -> tuple[bool, Any]:
        assert self._process is not None
        writer, reader = self._process.stdin, self._process.stdout
        assert writer is not None
        assert reader is not None
        writer.write(LENGTH.pack(len(content)) + content)
        await writer.drain()
        [length] = LENGTH.unpack(await reader.readexactly(LENGTH.size))
        # What is unpickled here and there comes from this very program, through a pipe that nobody else has.
        answer: tuple[bool, Any] = pickle.loads(await reader.readexactly(length))  # noqa: S301
        return answer

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()


@asynccontextmanager
async def open_side_process(warn: Callable[[str], None], prepare: Callable[[], object]) -> AsyncIterator[SideProcess]:
    """One whose process begins at once and ends with the block.

    Args:
        prepare: what it does first, while this process has other things to do.
    """
    side = SideProcess(warn)
    preparing = asyncio.create_task(side.run(prepare))
    try:
        yield side
    finally:
        await side.close()
        await asyncio.gather(preparing, return_exceptions=True)


def serve(works: BinaryIO, answers: BinaryIO) -> None:
    """Does one work after another, until there is nobody who could ask for more."""
    while (work := _read(works)) is not None:
        content = pickle.dumps(_do(work))
        answers.write(LENGTH.pack(len(content)) + content)
        answers.flush()


def _do(work: bytes) -> tuple[bool, object]:
    """Whether it succeeded, and its result or its error."""
    try:
        return True, pickle.loads(work)()  # noqa: S301
    except Exception as error:
        return False, error


def _read(works: BinaryIO) -> bytes | None:
    """The next message; None where the pipe ends, be it in the midst of one."""
    header = works.read(LENGTH.size)
    if len(header) < LENGTH.size:
        return None
    [length] = LENGTH.unpack(header)
    content = works.read(length)
    return content if len(content) == length else None


if __name__ == "__main__":
    # What a library prints must not get among the answers.
    own = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    with suppress(BrokenPipeError):
        serve(sys.stdin.buffer, own)
