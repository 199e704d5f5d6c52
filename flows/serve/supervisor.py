"""The supervisor of ``make serve``: starts parts one after the other, starts again what dies, stops all at a signal."""

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
from flows.serve.service import Part, Started, read_end, shorten, start_part, stop_part

LOOK_SECONDS = 0.1
MOST_DEATHS = 5
WITHIN_SECONDS = 60.0
# How long the next start of a part waits, by its deaths of the last minute.
WAIT_SECONDS = (0.0, 1.0, 2.0, 4.0)
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def supervise(stages: Sequence[Sequence[Part]], logs: Path, ready: str) -> None:
    """Starts the parts, stage after stage, prints ``ready``, and returns when a signal has come and all are stopped.

    A part that dies later is started again. Nothing that a part started is left, however this ends.

    Raises:
        OrchestratorError: a part did not come up, or died MOST_DEATHS times within WITHIN_SECONDS.
        RunInterruptedError: the signal came before all were up.
    """
    with ExitStack() as stack:
        house = House(logs, _catch_signals(stack))
        stack.callback(house.stop)
        for parts in stages:
            house.start(parts)
        print(ready, flush=True)
        house.watch()


@dataclass
class House:
    """The parts that run, in the order in which they were started."""

    logs: Path
    stopping: threading.Event
    mark: str = field(default_factory=lambda: uuid4().hex)
    running: list[Started] = field(default_factory=list)
    deaths: list[tuple[float, str]] = field(default_factory=list)

    def start(self, parts: Sequence[Part]) -> None:
        """Starts parts together and waits until all of them are ready."""
        for part in parts:
            (self.logs / f"{part.name}.log").unlink(missing_ok=True)
            self.running.append(start_part(part, self.mark, self.logs))
        waiting = self.running[-len(parts) :]
        while waiting := [started for started in waiting if not started.is_ready]:
            for started in waiting:
                _check_start(started)
            if self.stopping.wait(LOOK_SECONDS):
                raise RunInterruptedError("interrupted before all was up; everything is stopped")
        self.running = [started for started in self.running if not started.part.once]

    def watch(self) -> None:
        """Starts again what dies, until a signal comes."""
        due: dict[int, float] = {}
        while not self.stopping.wait(LOOK_SECONDS):
            for place, started in enumerate(self.running):
                if place in due and time.monotonic() >= due[place]:
                    del due[place]
                    self.running[place] = start_part(started.part, self.mark, self.logs)
                elif place not in due and started.has_died:
                    due[place] = time.monotonic() + self.mark_crashed(started)

    def mark_crashed(self, started: Started) -> float:
        """Clears away a part that died, says why, and returns how many seconds its next start waits."""
        now, name = time.monotonic(), started.part.name
        self.deaths = [death for death in self.deaths if now - death[0] < WITHIN_SECONDS] + [(now, name)]
        stop_part(started)
        said = started.explain_death()
        if len(self.deaths) >= MOST_DEATHS:
            raise OrchestratorError(
                f"{MOST_DEATHS} deaths within {WITHIN_SECONDS:g} s, so everything is stopped. {said}"
            )
        print(f"exemplars: {said}\nexemplars: {name} is started again", file=sys.stderr, flush=True)
        mine = sum(death[1] == name for death in self.deaths)
        return WAIT_SECONDS[min(mine, len(WAIT_SECONDS)) - 1]

    def stop(self) -> None:
        """Stops all, the last started first; a second signal changes nothing."""
        for started in reversed(self.running):
            stop_part(started)


def _check_start(started: Started) -> None:
    if started.has_died:
        raise OrchestratorError(f"{started.explain_death()}\nEverything is stopped.")
    if time.time() - started.since > started.part.start_seconds:
        said = "".join(f"\n  {line}" for line in read_end(started.log))
        raise OrchestratorError(
            f"{started.part.name} was not ready after {started.part.start_seconds:g} s, so everything is stopped. "
            f"The end of {shorten(started.log)}:{said or ' (nothing)'}"
        )


def _catch_signals(stack: ExitStack) -> threading.Event:
    """An event that any of the signals sets, instead of what it did before."""
    stopping = threading.Event()
    for number in SIGNALS:
        stack.callback(signal.signal, number, signal.signal(number, lambda *_: stopping.set()))
    return stopping
