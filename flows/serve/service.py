"""The parts of ``make serve``: what each is, how it is started, and how it is stopped with all that it started."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from engine.settings import PROJECT_ROOT
from flows.serve.processes import kill_marked, list_marked

SAID_LINES = 12
# The process around a part gives up a little after the part's own time is over.
SPARE_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Part:
    """A program that runs as long as the whole does, or, with ``once``, one that the next ones wait for.

    ``ask_ready`` is asked whether the part that was started at this moment (seconds since the epoch) does its work.
    ``settle`` is called when it has been stopped, with the ids of the flow runs that were under way.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    stop_seconds: float
    start_seconds: float = 180.0
    once: bool = False
    ask_ready: Callable[[float], bool] = lambda _: True
    settle: Callable[[Collection[str]], None] = lambda _: None


@dataclass(frozen=True, slots=True)
class Started:
    """A part that was started: the process around it, its mark and its log."""

    part: Part
    process: "subprocess.Popen[bytes]"
    mark: str
    log: Path
    since: float

    @property
    def is_ready(self) -> bool:
        """Whether the next ones may be started."""
        return self.process.poll() == 0 if self.part.once else self.part.ask_ready(self.since)

    @property
    def has_died(self) -> bool:
        """Whether it has ended though it should not have."""
        code = self.process.poll()
        return code is not None and not (self.part.once and code == 0)

    def explain_death(self) -> str:
        """How it ended and the last that it said, as lines."""
        code = self.process.wait()
        number = -code if code < 0 else max(code - 128, 0)
        killed = number in {int(known) for known in signal.Signals}
        how = f"was killed by {signal.Signals(number).name}" if killed else f"ended with exit code {code}"
        said = "".join(f"\n  {line}" for line in read_end(self.log))
        return f"{self.part.name} {how}. The end of {shorten(self.log)}:{said or ' (nothing)'}"


def start_part(part: Part, run_mark: str, logs: Path) -> Started:
    """Starts a part; what it says goes to the end of a log of its own. All that it starts carries its mark."""
    logs.mkdir(parents=True, exist_ok=True)
    mark, log = f"{run_mark}/{part.name}", logs / f"{part.name}.log"
    with log.open("ab") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "flows.serve.service_process", mark, str(part.stop_seconds), *part.command],
            cwd=PROJECT_ROOT,
            env=dict(part.environment),
            stdin=subprocess.PIPE,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return Started(part, process, mark, log, time.time())


def stop_part(started: Started) -> None:
    """Ends a part within its time, and what it has started or, where it is dead, left; then settles what was under way.

    A flow run whose worker is dead would not live long: its output goes to the worker.
    """
    runs = {run for run in list_marked(started.mark).values() if run}
    _close(started.process.stdin)
    try:
        started.process.wait(started.part.stop_seconds + SPARE_SECONDS)
    except subprocess.TimeoutExpired:
        started.process.kill()
        started.process.wait()
    kill_marked(started.mark)
    started.part.settle(runs)


def read_end(log: Path) -> list[str]:
    """The last lines of a log."""
    lines = log.read_text(errors="replace").splitlines() if log.is_file() else []
    return [line for line in lines if line.strip()][-SAID_LINES:]


def shorten(path: Path) -> str:
    """A path as seen from the current folder, where it lies below it."""
    return str(path).removeprefix(f"{Path.cwd()}{os.sep}")


def _close(stream: IO[bytes] | None) -> None:
    if stream is not None:
        with contextlib.suppress(OSError):
            stream.close()
