"""Run heavy Python work in a second process, so that work that holds the GIL does not stop the runs in this one.

The two exchange pickles over a pair of sockets. Processes that ``multiprocessing`` spawns, as a library's process pool
does, cannot be used: they import the program's main module again, which may have no ``__main__`` guard.
"""

import asyncio
import ctypes
import os
import pickle
import signal
import subprocess
import sys
import threading
import traceback
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection, Pipe
from typing import Any, Protocol, Self, TypeVar

from engine.system.child_process import SIGNALS

Result = TypeVar("Result")
STDIN, STDOUT, STDERR = 0, 1, 2
# From prctl(2).
PR_SET_PDEATHSIG = 1


class Executor(Protocol):
    """A function that runs work that holds Python's lock for long, in a worker process or in this one."""

    async def __call__(self, work: Callable[[], Result]) -> Result:
        """Return the work's result or raise its error; the work, its result and its error can be pickled."""


async def run_here(work: Callable[[], Result]) -> Result:
    """Run work on a thread of this process, for a run without a worker. The run's calls continue during the work."""
    return await asyncio.to_thread(work)


# A function that kills a child process, and the pipe to the process.
Child = tuple[Callable[[], object], "Connection[Any, Any]"]


class WorkerProcess:
    """A process that ends with the ``with`` block, and with this process, even after a kill.

    Args:
        warn: called with a sentence, from another thread, when the process dies.
        prepare: the first work, such as slow imports. It begins at once, and only the next work waits for it.
        child: a process from ``fork_worker``; None starts a new one.
    """

    def __init__(self, warn: Callable[[str], None], prepare: Callable[[], object], child: Child | None = None) -> None:
        self._warn = warn
        self._child = child
        self._closed = False
        # One piece of work at a time. It continues if its caller is cancelled, so nobody gets another caller's answer.
        self._thread = ThreadPoolExecutor(1, "worker-process")
        self._thread.submit(self._run, prepare)

    async def run(self, work: Callable[[], Result]) -> Result:
        """Run work in the process, and return its result or raise its error. All three can be pickled.

        If the process dies, the work runs in this process, and the next call starts a new one. It then runs on the
        event loop's thread, because it may import modules that other threads must not see half loaded.
        """
        return (await asyncio.get_running_loop().run_in_executor(self._thread, self._run, work))()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Kill the process, even during its work; a caller that waits for the work gets a ``BrokenPipeError``."""
        self._closed = True
        self._kill()
        self._thread.shutdown(wait=False)

    def _run(self, work: Callable[[], Result]) -> Callable[[], Result]:
        """Return a callable that gives the work's result; if the process died, the work itself."""
        try:
            self._child = self._child or (None if self._closed else _start())
            # Check again: if the worker was closed while the child started, nobody else kills the child.
            if self._closed or self._child is None:
                raise BrokenPipeError("The worker process is closed")
            self._child[1].send(work)
            succeeded, result = self._child[1].recv()
        except (OSError, EOFError) as error:
            self._kill()
            self._child = None
            if self._closed:
                raise BrokenPipeError("The worker process is closed") from error
            self._warn(
                "The worker process failed, perhaps because memory ran out. Its work is done in this process: "
                f"{str(error) or 'it has ended'}"
            )
            return work
        if not succeeded:
            raise result
        return lambda: result

    def _kill(self) -> None:
        if (child := self._child) is not None:
            child[0]()


def fork_worker() -> Child | None:
    """Fork a worker from this process. It shares the memory of modules that are already imported.

    Returns:
        None if a fork is not safe: this process has Python threads or no standard streams, or the system is not Linux.
    """
    # A process that was started without standard streams has other files at their descriptors.
    has_streams = None not in (sys.stdin, sys.stdout, sys.stderr)
    if sys.platform != "linux" or threading.active_count() > 1 or not has_streams:
        return None
    ours, theirs = Pipe()
    process = get_context("fork").Process(target=_serve_forked, args=(theirs,), daemon=True)
    with theirs, warnings.catch_warnings():
        # Python warns about threads that are not its own: Arrow's allocator has one, and it is made for forks.
        warnings.simplefilter("ignore", DeprecationWarning)
        process.start()

    def kill() -> None:
        process.kill()
        process.join()

    return kill, ours


def _serve_forked(pipe: "Connection[Any, Any]") -> None:
    """Serve until the parent ends."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    # The server and the parent's imports are needed first: ten calls took 11.9 s, and 12.6 s without this.
    os.nice(5)
    # The parent handles signals that stop a whole process group, and then ends this process.
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    os.dup2(STDERR, STDOUT)
    serve(pipe)


def _start() -> Child:
    ours, theirs = Pipe()
    with theirs:
        # In a new session, so that only this process gets Ctrl-C. Whatever a library prints there goes to stderr.
        command = [sys.executable, "-m", __name__]
        process = subprocess.Popen(command, stdin=theirs.fileno(), stdout=STDERR, start_new_session=True)

    def kill() -> None:
        process.kill()
        process.wait()

    return kill, ours


def serve(pipe: "Connection[Any, Any]") -> None:
    """Run one piece of work after another, until the parent closes its end of the pipe."""
    with suppress(EOFError, OSError):
        while True:
            work = pipe.recv_bytes()
            try:
                # Safe to unpickle: both ends are this program, and no other process has the pipe.
                answer = pickle.dumps((True, pickle.loads(work)()))  # noqa: S301
            except Exception as error:
                answer = _pack(error)
            pipe.send_bytes(answer)


def _pack(error: Exception) -> bytes:
    """Return an error, with its traceback, as an answer; as a ``RuntimeError`` if it cannot be pickled."""
    place = traceback.format_exc()
    error.add_note(place)
    try:
        answer = pickle.dumps((False, error))
        # Check that the parent can read the answer.
        pickle.loads(answer)  # noqa: S301
    except Exception:
        answer = pickle.dumps((False, RuntimeError(place)))
    return answer


if __name__ == "__main__":
    serve(Connection(STDIN))
