"""The killer: ``kill -9`` at instants drawn from a seed, and a new start each time, until the run comes to an end."""

import random
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from chaos.provider import GONE, ChaosProvider, Entry
from fakes.site import Site
from fakes.waiting import wait_until
from fakes.workspace import Workspace

from engine.errors import ExemplarsError

POLL_SECONDS, ASK_SECONDS = 0.002, 0.5
END_SECONDS = 600.0
OVER = ("COMPLETED", "FAILED", "CANCELLED", "CRASHED")


@dataclass(frozen=True, slots=True)
class Kill:
    """The seconds since the epoch when the killer struck, and when nothing was left of what it had struck."""

    struck: float
    dead: float


@dataclass(frozen=True, slots=True)
class Toll:
    """What one kill cost, by the ledger.

    ``in_flight``: calls that were not answered when the killer struck; ``again``: prompts that had been asked and were
    asked again later; ``paid_twice``: those of them that had been answered whole, and so were paid for.
    """

    in_flight: int
    again: int
    paid_twice: int


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run came to its end. ``code`` is the exit code, ``said`` the complaint."""

    kills: tuple[Kill, ...]
    code: int
    said: str
    seconds: float


@dataclass
class Here:
    """The main job in this process, which nobody kills."""

    workspace: Workspace

    def start(self) -> None:
        """All of it is done by ``finish``."""

    def has_ended(self) -> bool:
        return False

    def kill(self) -> None:
        raise NotImplementedError

    def finish(self) -> tuple[int, str]:
        try:
            self.workspace.run()
        except ExemplarsError as error:
            return error.exit_code, str(error)
        return 0, ""


@dataclass
class Command:
    """The main job as a command in a process of its own, with the temporary server that it brings or the one given."""

    workspace: Workspace
    prefect: dict[str, str]
    process: "subprocess.Popen[str]" = field(init=False)

    def start(self) -> None:
        self.process = self.workspace.start("--json", **self.prefect)

    def has_ended(self) -> bool:
        return self.process.poll() is not None

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()

    def finish(self) -> tuple[int, str]:
        complaint = self.process.communicate(timeout=END_SECONDS)[1]
        return self.process.returncode, complaint.strip()


@dataclass
class Installation:
    """Server, worker and run: all three are killed. In turn the same run is started again, and a new one."""

    site: Site
    runs: list[str] = field(default_factory=list)

    def start(self) -> None:
        self.site.start_server()
        self.site.deploy()
        self.site.start_worker()
        if len(self.runs) % 2:
            wait_until(self.has_ended, END_SECONDS, "the killed run is over")
            self.runs.append(self.runs[-1])
            wait_until(self._has_begun_again, END_SECONDS, "it has begun again")
        else:
            self.runs.append(self.site.start_run())

    def has_ended(self) -> bool:
        return self.site.read_state(self.runs[-1])[0] in OVER

    def _has_begun_again(self) -> bool:
        """The watch on heartbeats, which ran out while no server did, may end the run once more before it begins."""
        if self.has_ended():
            self.site.set_state(self.runs[-1], "SCHEDULED", name="AwaitingRetry")
        return self.site.read_state(self.runs[-1])[0] == "RUNNING"

    def kill(self) -> None:
        self.site.kill("server", "worker", "flows")
        assert {} == self.site.workspace.wait_for_no_process(10)

    def finish(self) -> tuple[int, str]:
        wait_until(self.has_ended, END_SECONDS, "the run ends")
        kind, message = self.site.read_state(self.runs[-1])
        return (0, "") if kind == "COMPLETED" else (1, message)


Target = Here | Command | Installation


def run_through(target: Target, provider: ChaosProvider, kills: int, calls: int, seed: int) -> Ending:
    """Runs the target to its end through so many kills, fewer where it ends before.

    The instants are drawn over the ``calls`` that the run is expected to make: after a random number of ended calls,
    and up to the time of one call later. Between two kills at least one call comes to its end.
    """
    source = random.Random(seed)
    instants = sorted(source.sample(range(1, calls), kills))
    begun, struck = time.monotonic(), []
    target.start()
    for instant in instants:
        _wait_for_calls(target, provider, max(instant, len(provider.entries) + 1))
        time.sleep(source.uniform(0, max(provider.script.latency_seconds, 0.005)))
        if target.has_ended():
            break
        moment = time.time()
        target.kill()
        struck.append(Kill(moment, time.time()))
        target.start()
    code, said = target.finish()
    return Ending(tuple(struck), code, said, time.monotonic() - begun)


def count_tolls(entries: Sequence[Entry], kills: Sequence[Kill]) -> list[Toll]:
    starts = [0.0, *(kill.dead for kill in kills)]
    return [_count_toll(entries, kill, start) for start, kill in zip(starts, kills, strict=False)]


def _wait_for_calls(target: Target, provider: ChaosProvider, least: int) -> None:
    """Waits until so many calls have ended, or the target has; which is asked rarely, since it may cost a request."""
    asked = time.monotonic()
    while len(provider.entries) < least:
        if time.monotonic() > asked + ASK_SECONDS:
            if target.has_ended():
                return
            asked = time.monotonic()
        time.sleep(POLL_SECONDS)


def _count_toll(entries: Sequence[Entry], kill: Kill, start: float) -> Toll:
    asked = [entry for entry in entries if start < entry.begun <= kill.dead]
    later = [entry for entry in entries if entry.begun > kill.dead]
    again = {entry.sent for entry in asked} & {entry.sent for entry in later}
    twice = again & {entry.sent for entry in asked if entry.billed}
    in_flight = sum(entry.ended > kill.struck or entry.fate == GONE for entry in asked)
    return Toll(in_flight, len(again), len(twice))
