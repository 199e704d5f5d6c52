"""Starts servers and commands as child processes of this one, and leaves none of them behind, whatever is killed.

A child serves until its standard input closes. That pipe closes when this process ends, even after ``kill -9``.
"""

import ctypes
import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# From prctl(2).
PR_SET_CHILD_SUBREAPER = 36
STOP_SECONDS = 3.0


class ChildServerError(Exception):
    """The server did not start; ``lines`` is what it wrote to standard error, the message has the last of it."""

    def __init__(self, message: str, lines: Sequence[str] = ()) -> None:
        super().__init__("\n  ".join([f"{message}. Its last lines:", *lines[-3:]]) if lines else message)
        self.lines = tuple(lines)


def run_guarded(command: Sequence[str]) -> int:
    """Runs a command and returns its exit code, or a negative number where a signal has killed it.

    The command has to stop when its standard input closes: that is so after a signal, and when this process is gone,
    even by ``kill -9``. What it leaves behind is killed (``leaving_no_process``).
    """
    with leaving_no_process():
        # A session of its own: Ctrl-C goes to the whole foreground group, but the command is to stop in its own order.
        process = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
        assert process.stdin is not None
        for number in SIGNALS:
            signal.signal(number, lambda *_, stdin=process.stdin: stdin.close())
        return process.wait()


@contextmanager
def leaving_no_process() -> Iterator[None]:
    """Kills all that is left of what was started inside the block, also processes whose parent has ended before them.

    That they become children of this process needs Linux: on other systems those in sessions of their own may be left.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    try:
        yield
    finally:
        while left := _list_children():
            for pid in left:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)


class ChildServer:
    """A server that begins to start when this is made, so that this process can do other things meanwhile.

    As a context manager it stops it at the block's end.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._log = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115 (closed at its end)
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=dict(environment),
            # Ctrl-C goes to the whole foreground group. In a session of its own the server lives until it is stopped.
            start_new_session=True,
        )

    def wait_for_address(self, start_seconds: float) -> str:
        """Waits until the server listens.

        Raises:
            ChildServerError: it ended, or printed no address within ``start_seconds``.
        """
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], start_seconds)
        address = self._process.stdout.readline().decode().strip() if ready else ""
        if address.startswith("http"):
            return address
        message = f"it printed no address within {start_seconds:g} s"
        with suppress(subprocess.TimeoutExpired):
            # Standard output is closed a little before the process has ended.
            message = f"it ended with exit code {self._process.wait(STOP_SECONDS if ready else 0)}"
        self._log.seek(0)
        raise ChildServerError(message, [line.strip() for line in self._log if line.strip()])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """End the server and wait until it is gone, killing it after ``STOP_SECONDS``."""
        self.leave()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def leave(self) -> None:
        """Tells the server to end, which it does by itself; nobody waits for it. A second call has no effect."""
        for stream in (self._process.stdin, self._process.stdout, self._log):
            if stream is not None:
                with suppress(OSError):
                    stream.close()


def _list_children() -> list[int]:
    """The children of this process, those that have ended too; none on a system without /proc."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            # After the name, which may contain brackets: the state and the parent (proc(5)).
            if int(stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[1]) == os.getpid():
                found.append(int(stat.parent.name))
    return found
