"""The main job in a process forked from one that has imported everything: a start takes a second, not eight."""

import multiprocessing
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import pytest
from chaos.killer import END_SECONDS, read_told
from fakes.workspace import PROGRAM, Workspace

ARGUMENTS = [*PROGRAM[3:], "--json"]
OUT, ERR = ".out", ".err"


CONTEXT = multiprocessing.get_context("forkserver")


@contextmanager
def forking(prefect_url: str) -> Iterator[None]:
    """The process that is forked is there while the block runs, 700 MB of it.

    All runs have this Prefect server, since Prefect reads its address when it is imported.
    """
    CONTEXT.set_forkserver_preload(["chaos.preload"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFECT_API_URL", prefect_url)
        forkserver.ensure_running()
    try:
        yield
    finally:
        # It would else stay until this process ends.
        forkserver._forkserver._stop()  # type: ignore[attr-defined]


@dataclass
class Forked:
    """The command's own main, in a process that is killed like any other; see ``forking``."""

    workspace: Workspace
    process: ForkServerProcess | None = None

    @property
    def output(self) -> Path:
        """Where standard output and error go."""
        return self.workspace.folder / "output"

    def start(self) -> None:
        self.process = CONTEXT.Process(target=run, args=(self.workspace.variables, str(self.output)))
        self.process.start()

    def has_ended(self) -> bool:
        assert self.process is not None
        return self.process.exitcode is not None

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.join()

    def finish(self) -> tuple[int, Mapping[str, Any], str]:
        assert self.process is not None
        self.process.join(END_SECONDS)
        assert self.process.exitcode is not None
        return (
            self.process.exitcode,
            read_told(self.output.with_suffix(".out").read_text()),
            (self.output.with_suffix(".err").read_text().strip()),
        )


def run(variables: Mapping[str, str], output: str) -> None:
    """The command in this process, with these variables and its output in two files; ends the process."""
    from flows.cli.app import main

    os.environ.update(variables)
    for number, suffix in ((1, OUT), (2, ERR)):
        os.dup2(os.open(output + suffix, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), number)
    code = main(["synthesize", *ARGUMENTS])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
