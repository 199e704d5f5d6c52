"""A stage: a run in mid-generation behind a door, a client that watches it, and ways to kill each part."""

import os
import shutil
import signal
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import httpx
from fakes.door import Served
from fakes.provider import Behaviour, Provider
from fakes.waiting import wait_until
from fakes.workspace import read_manifest

CONCURRENCY = 6
ANSWERED = 12
POLL_SECONDS = 0.4


@dataclass
class Client:
    """A program that asks for a synthesis and reads the model all the time, and what it saw."""

    client: httpx.Client
    handle: str
    seen: list[str] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)

    @property
    def last(self) -> str:
        """What it saw last."""
        return self.seen[-1] if self.seen else ""

    def synthesize(self) -> str:
        """Asks for a run and returns its id."""
        answer = self.client.post(f"/models/{self.handle}/samples/synthesize", json={"effort": "low"})
        assert 202 == answer.status_code, answer.text
        return str(answer.json()["run_id"])

    def poll(self) -> None:
        """Reads the model until it is told to stop."""
        while not self.stopping.wait(POLL_SECONDS):
            self.seen.append(self.look())

    def look(self) -> str:
        """The state of the model and of its last run, or why there is no answer."""
        try:
            answer = self.client.get(f"/models/{self.handle}")
        except httpx.HTTPError as error:
            return type(error).__name__
        if answer.status_code != 200:
            return f"{answer.status_code} {answer.json()['error']['code']}"
        model: dict[str, Any] = answer.json()
        return f"{model['state']}/{(model['last_operation'] or {}).get('status')}"


@dataclass
class Stage:
    """The surface with a worker, a model of a test's own, and a client that watches it."""

    surface: Served
    provider: Provider
    client: Client
    run_id: str = ""
    killed_at: float = 0.0

    def begin(self) -> None:
        """Asks for a run and waits until the provider sits on its calls."""
        self.provider.forget()
        self.provider.behaviour = Behaviour(seconds=0.05, hold_after=ANSWERED)
        self.run_id = self.client.synthesize()
        wait_until(
            lambda: (ANSWERED, CONCURRENCY) == (self.provider.answers.total(), self.provider.in_flight),
            90,
            "in mid-run",
        )

    def kill(self, *names: str) -> None:
        """``kill -9`` of the parts at one instant, and a moment in which the client sees that."""
        site, door = self.surface.site, self.surface.door
        if "door" in names:
            assert door.process is not None
            os.kill(door.process.pid, signal.SIGKILL)
        site.kill(*(name for name in names if name != "door"))
        self.killed_at = time.monotonic()
        self.wait_for_looks(5)

    def cancel(self) -> None:
        """The UI's button: Cancel."""
        self.killed_at = time.monotonic()
        self._press("CANCELLING", "Cancelling")

    def retry(self) -> None:
        """The UI's button: Retry. Waits until the run, the same one, has ended once more.

        Prefect's worker looks after a run that crashed for 3 s and calls it so again, whatever was pressed meanwhile.
        """
        before, ended = self._read_run()["run_count"], self.read_state()

        def runs_again() -> bool:
            if self._read_run()["run_count"] > before:
                return True
            if self.read_state() == ended:
                self._press("SCHEDULED", "AwaitingRetry")
            return False

        wait_until(runs_again, 90, "it runs again")
        wait_until(lambda: self.read_state() in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED"), 180, "it has ended")

    def read_set(self) -> dict[str, bytes]:
        """The files of the run's set in the store."""
        [folder] = [path for path in self.surface.door.workspace.list_sets() if self.run_id in path.name]
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    def forget(self) -> None:
        """Clears the store and the kept replies, as if nothing had ever run."""
        for name in ("samples", "cache"):
            shutil.rmtree(self.surface.door.workspace.folder / name)
        self.provider.forget()

    def wait_for_looks(self, count: int) -> None:
        """Waits until the client has looked so many times more."""
        before = len(self.client.seen)
        wait_until(lambda: len(self.client.seen) >= before + count, 90, "the client looks on")

    def go_on(self) -> None:
        """Lets the provider answer."""
        self.provider.behaviour = Behaviour()

    def start_door(self) -> None:
        """The door on the port that it had."""
        self.surface.door.start(int(self.surface.door.url.split(":")[2].split("/")[0]))

    def wait_until_free(self, seconds: float) -> None:
        """Waits until the client sees that the model is not busy."""
        wait_until(lambda: self.client.last.startswith(("draft/", "failed/")), seconds, f"free: {self.client.last}")

    def list_runs(self) -> list[str]:
        """The runs of which the store has a set of the model."""
        manifests = map(read_manifest, self.surface.door.workspace.list_sets())
        return [item["run_id"] for item in manifests if item["handle"] == self.client.handle]

    def read_state(self) -> str:
        """The type of the run's state in Prefect."""
        return self.surface.site.read_state(self.run_id)[0]

    def read_logs(self) -> list[str]:
        """What the run has logged, from its beginning."""
        found = {"flow_run_id": {"any_": [self.run_id]}}
        return [line["message"] for line in self.surface.site.ask("POST", "/logs/filter", logs=found)]

    def _press(self, state: str, name: str) -> None:
        path = f"/flow_runs/{self.run_id}/set_state"
        self.surface.site.ask("POST", path, state={"type": state, "name": name}, force=True)

    def _read_run(self) -> dict[str, Any]:
        run: dict[str, Any] = self.surface.site.ask("GET", f"/flow_runs/{self.run_id}")
        return run
