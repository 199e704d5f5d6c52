"""The command ``exemplars`` in this process: what it says, and the environment as it was before."""

import json
import logging
import os
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import pytest

from engine.system.child_process import SIGNALS
from flows.cli.app import main


class Said(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def message(self) -> str:
        """Its one message; an AssertionError where there is another, a traceback, or a result."""
        assert "Traceback" not in self.err
        assert "" == self.out
        begins = [match.start() for match in re.finditer(r"^exemplars: ", self.err, re.MULTILINE)]
        assert 1 == len(begins), self.err
        return self.err[begins[0] :]

    @property
    def facts(self) -> Any:
        """Its one line of JSON; an AssertionError where it failed, or said anything else."""
        assert (0, "", 1) == (self.code, self.err, self.out.count("\n"))
        return json.loads(self.out)

    @property
    def text(self) -> str:
        """Its result, without the places where lines were folded."""
        return re.sub(r"\s+", " ", self.out)


Command = Callable[..., Said]


@contextmanager
def commanding(capsys: pytest.CaptureFixture[str]) -> Iterator[Command]:
    """Calls the command inside the block; what it sets for itself in the process does not stay."""
    handlers = {number: signal.getsignal(number) for number in SIGNALS}

    def call(*arguments: str) -> Said:
        before = {*os.environ}
        capsys.readouterr()
        code = main(arguments)
        for name in {*os.environ} - before:
            del os.environ[name]
        return Said(code, *capsys.readouterr())

    try:
        yield call
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        logging.captureWarnings(False)
