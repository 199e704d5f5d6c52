"""Starts a server as a child process of this one and stops it when the block that uses it ends.

The server prints its address once it listens, and serves until its standard input closes. That pipe closes when this
process ends, so the server ends too, even after ``kill -9``.
"""

import select
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import IO

STOP_SECONDS = 3.0


class ChildServerError(Exception):
    """The server did not start; ``lines`` is what it wrote to standard error, the message the last of it."""

    def __init__(self, message: str, lines: Sequence[str] = ()) -> None:
        super().__init__(message.rstrip("."))
        self.lines = tuple(lines)


@contextmanager
def run_child_server(command: Sequence[str], environment: Mapping[str, str], start_seconds: float) -> Iterator[str]:
    """Runs a server while the block runs, and yields its address.

    Raises:
        ChildServerError: the server ended, or printed no address within ``start_seconds``.
    """
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=dict(environment),
            # Ctrl-C goes to the whole foreground group. In a session of its own the server lives until it is stopped.
            start_new_session=True,
        )
        with process:
            try:
                yield _wait_for_address(process, log, start_seconds)
            finally:
                _stop(process)


def _wait_for_address(process: "subprocess.Popen[bytes]", log: IO[str], start_seconds: float) -> str:
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], start_seconds)
    address = process.stdout.readline().decode().strip() if ready else ""
    if address.startswith("http"):
        return address
    log.seek(0)
    lines = log.read().strip().splitlines()
    raise ChildServerError(lines[-1] if lines else f"it printed no address within {start_seconds:g} s", lines)


def _stop(process: "subprocess.Popen[bytes]") -> None:
    if process.stdin is not None:
        with suppress(OSError):
            process.stdin.close()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
