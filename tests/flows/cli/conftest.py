"""What the tests of the commands share."""

import signal
from collections.abc import Callable, Iterator

import pytest

from flows.cli.app import main

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run_command(capsys: pytest.CaptureFixture[str]) -> Iterator[Command]:
    """``exemplars`` in this process: its exit code, and what it says on stdout and stderr."""
    terminate = signal.getsignal(signal.SIGTERM)

    def call(*arguments: str) -> tuple[int, str, str]:
        code = main(arguments)
        said = capsys.readouterr()
        return code, said.out, said.err

    yield call
    signal.signal(signal.SIGTERM, terminate)
