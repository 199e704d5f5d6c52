"""The supervisor of ``make serve``: starts the services in order, restarts those that die, stops all at a signal."""

import signal
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from engine.errors import OrchestratorError, RunInterruptedError
from flows.serve.service import RunningService, Service, read_end, shorten, start_service, stop_service

LOOK_SECONDS = 0.1
MAX_DEATHS = 5
WITHIN_SECONDS = 60.0
# The backoff before a service is restarted, by the number of its deaths within the last minute.
RESTART_BACKOFF_SECONDS = (0.0, 1.0, 2.0, 4.0)
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def supervise(stages: Sequence[Sequence[Service]], logs: Path, ready: str) -> None:
    """Starts the services, stage after stage, prints ``ready``, and returns when a signal came and all are stopped.

    A service that dies later is restarted. However this ends, no process that a service started is left.

    Raises:
        OrchestratorError: a service did not start, or services died MAX_DEATHS times within WITHIN_SECONDS.
        RunInterruptedError: the signal came before everything was up.
    """
    with ExitStack() as stack:
        supervisor = Supervisor(logs, _catch_signals(stack))
        stack.callback(supervisor.stop)
        for services in stages:
            supervisor.start(services)
        print(ready, flush=True)
        supervisor.watch()


@dataclass
class Supervisor:
    """The running services, in the order in which they were started."""

    logs: Path
    stopping: threading.Event
    mark: str = field(default_factory=lambda: uuid4().hex)
    running: list[RunningService] = field(default_factory=list)
    deaths: list[tuple[float, str]] = field(default_factory=list)

    def start(self, services: Sequence[Service]) -> None:
        """Starts services together and waits until all of them are ready."""
        for service in services:
            (self.logs / f"{service.name}.log").unlink(missing_ok=True)
            self.running.append(start_service(service, self.mark, self.logs))
        waiting = self.running[-len(services) :]
        while waiting := [started for started in waiting if not started.is_ready]:
            for started in waiting:
                _check_start(started)
            if self.stopping.wait(LOOK_SECONDS):
                raise RunInterruptedError("interrupted before everything was up. Everything is stopped")
        self.running = [started for started in self.running if not started.service.once]

    def watch(self) -> None:
        """Restarts services that die, until a signal comes."""
        due: dict[int, float] = {}
        while not self.stopping.wait(LOOK_SECONDS):
            for place, started in enumerate(self.running):
                if place in due and time.monotonic() >= due[place]:
                    del due[place]
                    self.running[place] = start_service(started.service, self.mark, self.logs)
                elif place not in due and started.has_died:
                    due[place] = time.monotonic() + self.mark_crashed(started)

    def mark_crashed(self, started: RunningService) -> float:
        """Cleans up after a service that died, prints why, and returns the backoff in seconds before its restart."""
        now, name = time.monotonic(), started.service.name
        self.deaths = [death for death in self.deaths if now - death[0] < WITHIN_SECONDS] + [(now, name)]
        stop_service(started)
        said = started.explain_death()
        if len(self.deaths) >= MAX_DEATHS:
            raise OrchestratorError(
                f"{MAX_DEATHS} deaths within {WITHIN_SECONDS:g} s, so everything is stopped. {said}"
            )
        print(f"exemplars: {said}\nexemplars: {name} is restarted", file=sys.stderr, flush=True)
        mine = sum(death[1] == name for death in self.deaths)
        return RESTART_BACKOFF_SECONDS[min(mine, len(RESTART_BACKOFF_SECONDS)) - 1]

    def stop(self) -> None:
        """Stops all services, the last started first; a second signal changes nothing."""
        for started in reversed(self.running):
            stop_service(started)


def _check_start(started: RunningService) -> None:
    if started.has_died:
        raise OrchestratorError(f"{started.explain_death()}\nEverything is stopped.")
    if time.time() - started.since > started.service.start_seconds:
        said = "".join(f"\n  {line}" for line in read_end(started.log))
        raise OrchestratorError(
            f"{started.service.name} was not ready after {started.service.start_seconds:g} s, so everything is "
            f"stopped. The end of {shorten(started.log)}:{said or ' (nothing)'}"
        )


def _catch_signals(stack: ExitStack) -> threading.Event:
    """An event that the signals set while the supervisor runs."""
    stopping = threading.Event()
    for number in SIGNALS:
        stack.callback(signal.signal, number, signal.signal(number, lambda *_: stopping.set()))
    return stopping
