"""Companions: server processes of a run's own, which end when it does, however it ends.

A companion prints its address when it listens and serves until its standard input closes. The pipe to it closes with
this process, so that nothing is left behind by ``kill -9`` either.
"""

import select
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import IO

STOP_SECONDS = 3.0


class CompanionError(Exception):
    """A companion that did not come up; the message is the last thing that it said."""


@contextmanager
def run_companion(command: Sequence[str], environment: Mapping[str, str], start_seconds: float) -> Iterator[str]:
    """The address of a companion that lives while the block runs.

    Raises:
        CompanionError: it ended or said nothing for ``start_seconds``.
    """
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=dict(environment),
            # Ctrl-C goes to the whole foreground group: a companion outlives it until the run has had its last word.
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
    said = log.read().strip().splitlines()
    raise CompanionError(said[-1] if said else f"it said nothing for {start_seconds:g} s")


def _stop(process: "subprocess.Popen[bytes]") -> None:
    if process.stdin is not None:
        with suppress(OSError):
            process.stdin.close()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
