"""Start servers and commands as child processes, and never leave one behind, even after a kill.

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
    """The server did not start; ``lines`` are its lines on standard error, and the message has the last three."""

    def __init__(self, message: str, lines: Sequence[str] = ()) -> None:
        super().__init__("\n  ".join([f"{message}. Its last lines:", *lines[-3:]]) if lines else message)
        self.lines = tuple(lines)


def run_guarded(command: Sequence[str]) -> int:
    """Run a command and return its exit code, or a negative number if a signal killed it.

    The command must stop when its standard input closes. It closes after a signal, and when this process is gone, even
    after ``kill -9``. Processes that the command leaves behind are killed (``leaving_no_process``).
    """
    with leaving_no_process():
        # A new session: Ctrl-C goes to the whole foreground group, but the command must stop its parts in order.
        process = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
        assert process.stdin is not None
        for number in SIGNALS:
            signal.signal(number, lambda *_, stdin=process.stdin: stdin.close())
        return process.wait()


@contextmanager
def leaving_no_process() -> Iterator[None]:
    """Kill all processes that the block started and left behind, even if their parents have ended.

    On Linux, such orphans become children of this process. On other systems, orphans in other sessions may be left.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    try:
        yield
    finally:
        while pids := _list_children():
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)


class ChildServer:
    """A server that starts in the background as soon as this object is created.

    As a context manager, it stops the server at the end of the block.
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
        """Wait until the server listens, and return the address that it prints.

        Raises:
            ChildServerError: the server ended, or printed no address within ``start_seconds``.
        """
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], start_seconds)
        address = self._process.stdout.readline().decode().strip() if ready else ""
        if address.startswith("http"):
            return address
        message = f"it printed no address within {start_seconds:g} s"
        with suppress(subprocess.TimeoutExpired):
            # Standard output closes a little before the process ends.
            message = f"it ended with exit code {self._process.wait(STOP_SECONDS if ready else 0)}"
        self._log.seek(0)
        raise ChildServerError(message, [line.strip() for line in self._log if line.strip()])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """End the server and wait until it is gone; kill it after ``STOP_SECONDS``."""
        self.leave()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def leave(self) -> None:
        """Tell the server to end, and do not wait for it. A second call has no effect."""
        for stream in (self._process.stdin, self._process.stdout, self._log):
            if stream is not None:
                with suppress(OSError):
                    stream.close()


def _list_children() -> list[int]:
    """Return the ids of this process's children, with ended ones; an empty list on a system without /proc."""
    pids = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            # The state and the parent follow the name, which may contain brackets (proc(5)).
            if int(stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[1]) == os.getpid():
                pids.append(int(stat.parent.name))
    return pids
