"""Runs a command that starts processes of its own, and leaves none of them behind, whatever is killed."""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# From prctl(2).
PR_SET_CHILD_SUBREAPER = 36


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


def _list_children() -> list[int]:
    """The children of this process, those that have ended too; none on a system without /proc."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            # After the name, which may contain brackets: the state and the parent (proc(5)).
            if int(stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[1]) == os.getpid():
                found.append(int(stat.parent.name))
    return found
