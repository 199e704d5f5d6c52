"""A service of ``make serve``: what it is, and how it is started and is stopped with all that it has started."""

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

LOG_TAIL_LINES = 12
# How much longer the process around a service may take than the service itself.
GRACE_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Service:
    """A program that runs until everything is stopped or, with ``once``, one that must end before the next ones start.

    ``ask_ready`` says whether the service that was started at a time (seconds since 1970) is ready. ``settle`` is
    called after it was stopped, with the ids of the flow runs that were running.
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
class RunningService:
    """A service that was started: the process around it, its mark, its log, and when it was started."""

    service: Service
    process: "subprocess.Popen[bytes]"
    mark: str
    log: Path
    since: float

    @property
    def is_ready(self) -> bool:
        """Whether the next services may be started."""
        return self.process.poll() == 0 if self.service.once else self.service.ask_ready(self.since)

    @property
    def has_died(self) -> bool:
        """Whether it has ended although it should be running."""
        code = self.process.poll()
        return code is not None and not (self.service.once and code == 0)

    def explain_death(self) -> str:
        """How it ended, and the last lines of its log."""
        code = self.process.wait()
        number = -code if code < 0 else max(code - 128, 0)
        killed = number in {int(known) for known in signal.Signals}
        how = f"was killed by {signal.Signals(number).name}" if killed else f"ended with exit code {code}"
        said = "".join(f"\n  {line}" for line in read_end(self.log))
        return f"{self.service.name} {how}. The end of {shorten(self.log)}:{said or ' (nothing)'}"


def start_service(service: Service, run_mark: str, logs: Path) -> RunningService:
    """Starts a service, which appends its output to its own log; all processes that it starts inherit its mark."""
    logs.mkdir(parents=True, exist_ok=True)
    mark, log = f"{run_mark}/{service.name}", logs / f"{service.name}.log"
    with log.open("ab") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "flows.serve.service_process", mark, str(service.stop_seconds), *service.command],
            cwd=PROJECT_ROOT,
            env=dict(service.environment),
            stdin=subprocess.PIPE,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return RunningService(service, process, mark, log, time.time())


def stop_service(started: RunningService) -> None:
    """Stops a service and all processes that it has started, within its stop time; then settles its flow runs.

    Flow runs of a dead worker are stopped too: they could not go on for long, since their output goes to the worker.
    """
    runs = {run for run in list_marked(started.mark).values() if run}
    _close(started.process.stdin)
    try:
        started.process.wait(started.service.stop_seconds + GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        started.process.kill()
        started.process.wait()
    kill_marked(started.mark)
    started.service.settle(runs)


def read_end(log: Path) -> list[str]:
    """The last lines of a log."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.is_file() else []
    return [line for line in lines if line.strip()][-LOG_TAIL_LINES:]


def shorten(path: Path) -> str:
    """A path relative to the current folder if it lies below it."""
    return str(path).removeprefix(f"{Path.cwd()}{os.sep}")


def _close(stream: IO[bytes] | None) -> None:
    if stream is not None:
        with contextlib.suppress(OSError):
            stream.close()
