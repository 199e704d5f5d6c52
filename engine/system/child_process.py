"""Starts a server as a child process of this one and ends it when whoever uses it is done.

The server prints its address once it listens, and serves until its standard input closes. That pipe closes when this
process ends, so the server ends too, even after ``kill -9``.
"""

import select
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

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
    server = ChildServer(command, environment)
    try:
        yield server.wait_for_address(start_seconds)
    finally:
        server.stop()


class ChildServer:
    """A server that begins to start when this is made, so that this process can do other things meanwhile."""

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
        self._log.seek(0)
        lines = self._log.read().strip().splitlines()
        raise ChildServerError(lines[-1] if lines else f"it printed no address within {start_seconds:g} s", lines)

    def stop(self) -> None:
        """Ends the server and waits until it is gone, killing it after ``STOP_SECONDS``."""
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
