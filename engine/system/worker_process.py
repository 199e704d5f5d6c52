"""Runs heavy Python work in a second process, so that work which holds the GIL does not stop the runs in this one.

The two exchange pickles over a pair of sockets. What ``multiprocessing`` spawns, as a library's pool of processes does,
cannot be used: it imports the program's main module again, which may have no ``__main__`` guard.
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
    """Does a work that holds Python's lock for long: in a worker process, or here."""

    async def __call__(self, work: Callable[[], Result]) -> Result:
        """What the work gives or raises; the work, its result and its error can be pickled."""


async def run_here(work: Callable[[], Result]) -> Result:
    """Does a work in this process, on a thread: for a run that has no worker, whose calls go on meanwhile."""
    return await asyncio.to_thread(work)


# What kills a child process, and the pipe to it.
Child = tuple[Callable[[], object], "Connection[Any, Any]"]


class WorkerProcess:
    """A process that ends with the ``with`` block, and with this process, even if killed.

    Args:
        warn: called with a sentence, from another thread, when the process dies.
        prepare: the first work, such as slow imports: it begins at once, and only the next work waits for it.
        child: the process, which ``fork_worker`` has made; None starts one.
    """

    def __init__(self, warn: Callable[[str], None], prepare: Callable[[], object], child: Child | None = None) -> None:
        self._warn = warn
        self._child = child
        self._closed = False
        # One piece of work at a time. It goes on if its caller is cancelled, so that nobody gets another's answer.
        self._thread = ThreadPoolExecutor(1, "worker-process")
        self._thread.submit(self._run, prepare)

    async def run(self, work: Callable[[], Result]) -> Result:
        """Returns or raises what the work does, any callable without arguments that can be pickled, like its outcome.

        If the process dies, the work is done in this process, and the next call starts a new one. It is done on the
        event loop's thread, since it may import what code of other threads must not meet half loaded.
        """
        return (await asyncio.get_running_loop().run_in_executor(self._thread, self._run, work))()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Kills the process, even in the middle of its work; whoever waits for that gets a ``BrokenPipeError``."""
        self._closed = True
        self._kill()
        self._thread.shutdown(wait=False)

    def _run(self, work: Callable[[], Result]) -> Callable[[], Result]:
        """Returns what gives the work's result: the work itself if the process died."""
        try:
            self._child = self._child or (None if self._closed else _start())
            # Looked at once more: what is closed from here on has a child to kill.
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
    """Forks a worker off this process, which shares the memory of what is imported by now, and need not import it.

    Returns:
        None where that is not safe, since this process has threads of Python's, no standard streams, or the system is
        not Linux.
    """
    # A process that was started without them has other files in their places.
    has_streams = None not in (sys.stdin, sys.stdout, sys.stderr)
    if sys.platform != "linux" or threading.active_count() > 1 or not has_streams:
        return None
    ours, theirs = Pipe()
    process = get_context("fork").Process(target=_serve_forked, args=(theirs,), daemon=True)
    with theirs, warnings.catch_warnings():
        # Of threads that are not Python's: Arrow's allocator has one, and is made for forks.
        warnings.simplefilter("ignore", DeprecationWarning)
        process.start()

    def kill() -> None:
        process.kill()
        process.join()

    return kill, ours


def _serve_forked(pipe: "Connection[Any, Any]") -> None:
    """Serves, and ends with its parent."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    # What it does first is wanted after the server and the parent's imports: ten calls took 11.9 s, and 12.6 without.
    os.nice(5)
    # What stops a whole group of processes is the parent's to hear, which then ends this one.
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    os.dup2(STDERR, STDOUT)
    serve(pipe)


def _start() -> Child:
    ours, theirs = Pipe()
    with theirs:
        # In a session of its own: Ctrl-C is this process's to hear. What a library prints there goes to stderr.
        command = [sys.executable, "-m", __name__]
        process = subprocess.Popen(command, stdin=theirs.fileno(), stdout=STDERR, start_new_session=True)

    def kill() -> None:
        process.kill()
        process.wait()

    return kill, ours


def serve(pipe: "Connection[Any, Any]") -> None:
    """The process's main loop: does one piece of work after another, until the other end is closed."""
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
    """An error as an answer, with the place where it was raised; one that cannot be pickled as a ``RuntimeError``."""
    place = traceback.format_exc()
    error.add_note(place)
    try:
        answer = pickle.dumps((False, error))
        # What was just written here: whether the other end can read it.
        pickle.loads(answer)  # noqa: S301
    except Exception:
        answer = pickle.dumps((False, RuntimeError(place)))
    return answer


if __name__ == "__main__":
    serve(Connection(STDIN))
