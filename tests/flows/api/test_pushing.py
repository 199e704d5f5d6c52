"""A door pushes to another that is killed at random requests, and so are pushes: equal at the end, and none twice.

10,000 samples and 20 kills: LONG=1. That a push goes on where it was cut off is shown in ``engine/handover``, too.
"""

import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fakes.door import Served, open_served
from fakes.killing import Kill, Way, draw_kills, serve_way
from fakes.long import long
from fakes.stored import attach_set
from fakes.surface import list_all
from fakes.waiting import wait_until
from fakes.workspace import HANDLE, ROOT, Workspace, make_workspace

from engine.definitions.outline import ADDED_FILE

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

SAMPLES, KILLS = 10_000, 20
SETS = 5
SEED = int(os.environ.get("KILL_SEED", "1"))
PUSH = (sys.executable, "-c", "from flows.cli.app import run; run()", "push", HANDLE)
AUTHORED = 6


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Served]:
    """The door that is pushed to, with a catalogue, a store and a Prefect server of its own."""
    with open_served(tmp_path / "target") as served:
        yield served


@pytest.fixture
def source(tmp_path: Path) -> Workspace:
    """The place that is pushed from."""
    workspace = make_workspace(tmp_path / "source")
    for number in range(SETS):
        attach_set(workspace.samples, f"set-{number}", SAMPLES // SETS, ("clarity", "safety"), handle=HANDLE)
    return workspace


class Killer:
    """Kills the door and starts it again where it was, or kills the push."""

    def __init__(self, surface: Served) -> None:
        self._surface = surface
        self._port = int(surface.door.url.removesuffix("/v1").rpartition(":")[2])
        self._lock = threading.Lock()
        self.push: subprocess.Popen[str] | None = None

    @property
    def port(self) -> int:
        """Where the door listens."""
        return self._port

    def kill(self, due: Kill) -> bool:
        """Whether there was something to kill."""
        if due.victim == "push":
            assert self.push is not None
            was_alive = self.push.poll() is None
            self.push.kill()
            return was_alive
        # It is held until the door is back, so that each kill meets one.
        self._lock.acquire()
        self._surface.door.stop(9)
        threading.Thread(target=self._restart).start()
        return True

    def wait(self) -> None:
        """Until the door answers again."""
        wait_until(self._is_up, what="the door is back")

    def _is_up(self) -> bool:
        try:
            return httpx.get(f"{self._surface.door.url}/health", timeout=10).is_success
        except httpx.TransportError:
            return False

    def _restart(self) -> None:
        try:
            self._surface.door.start(self._port)
        finally:
            self._lock.release()


@long
def test_kills_leave_no_sample_out_and_none_twice(target: Served, source: Workspace) -> None:
    killer = Killer(target)
    begun, starts, codes = time.monotonic(), 0, Counter[int]()
    random.seed(SEED)
    with serve_way(Way(killer.port, killer.kill, draw_kills(SEED, KILLS, 5))) as way:
        while 0 not in codes or way.kills:
            if 0 in codes:
                # It was done before all kills were made: begin with half of what was added gone.
                halve_added(target)
                del codes[0]
            variables = {**source.variables, "EXEMPLARS_PLATFORM_KEY": target.door.secret}
            killer.push = subprocess.Popen(
                [*PUSH, "--to", way.url],
                cwd=ROOT,
                env={**os.environ, **variables},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            told = killer.push.communicate()[1]
            starts += 1
            codes[killer.push.returncode] += 1
            assert killer.push.returncode in (0, -9), told
    killer.wait()
    listed = list_all(target.author, f"/models/{HANDLE}/samples", limit=500)[AUTHORED:]
    expected = {
        ((number % 2 and "safety") or "clarity", f"set-{part} {number}", float(not number % 2))
        for part in range(SETS)
        for number in range(SAMPLES // SETS)
    }
    lines = (target.door.workspace.model / ADDED_FILE).read_bytes().splitlines()
    print(
        f"\n{SAMPLES} samples, {KILLS} kills, {way.requests} requests, {starts} starts of the push, "
        f"{time.monotonic() - begun:.0f} s: {len(listed)} there, {len({item['id'] for item in listed})} different",
        *(" ".join(each) for each in way.done),
        sep="\n",
    )

    assert KILLS == len(way.done)
    assert expected == {(item["trait"], item["text"], item["quality"]) for item in listed}
    assert SAMPLES == len(listed)
    assert SAMPLES == len([line for line in lines if line.strip()])


def halve_added(surface: Served) -> None:
    """Takes the second half of the added samples out of the file, while nobody changes it."""
    added = surface.door.workspace.model / ADDED_FILE
    lines = added.read_bytes().splitlines(keepends=True)
    added.write_bytes(b"".join(lines[: len(lines) // 2]))
