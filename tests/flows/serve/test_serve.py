"""``make serve`` whole, with a stand-in for the HTTP door: what it starts, says and leaves."""

import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from fakes.provider import Behaviour, Provider
from fakes.site import POOL, Site, answers, find_free_port
from fakes.waiting import wait_until
from fakes.workspace import ROOT, Workspace, make_workspace

pytestmark = pytest.mark.slow

STOP_SECONDS = 60.0
START_SECONDS = 120.0
# A run of a POST starts within five seconds on a machine with nothing else to do.
BEGIN_SECONDS = 120.0


@dataclass
class Served:
    """A ``make serve`` in a workspace, on ports of its own."""

    workspace: Workspace
    prefect_port: int = field(default_factory=find_free_port)
    door_port: int = field(default_factory=find_free_port)
    processes: list["subprocess.Popen[str]"] = field(default_factory=list)

    @property
    def site(self) -> Site:
        """Its Prefect server."""
        return Site(self.workspace, self.prefect_port)

    @property
    def variables(self) -> dict[str, str]:
        return {
            "PREFECT_HOME": str(self.workspace.folder / "prefect"),
            "PREFECT_SERVER_API_PORT": str(self.prefect_port),
            "EXEMPLARS_API_PORT": str(self.door_port),
            "PYTHONPATH": str(ROOT),
        }

    def start(self, warm: bool = False, **variables: str) -> "subprocess.Popen[str]":
        program = (sys.executable, "-m", "tests.fakes.serve_without_door")
        given = {**self.variables, **variables}
        self.processes.append(self.workspace.start(program=program, warm=warm, **given))
        return self.processes[-1]

    def wait_until_ready(self) -> str:
        """The readiness line."""
        process = self.processes[-1]
        assert process.stdout is not None
        ready, _, _ = select.select([process.stdout], [], [], START_SECONDS)
        line = process.stdout.readline() if ready else ""
        assert line, process.communicate(timeout=60)
        return line

    def stop(self, number: signal.Signals = signal.SIGINT) -> tuple[int, str, str, dict[int, str]]:
        """A signal to the foreground group: the exit code, both streams, and what is left after a minute."""
        process = self.processes[-1]
        (os.kill if number == signal.SIGKILL else os.killpg)(process.pid, number)
        left = self.workspace.wait_for_no_process(STOP_SECONDS)
        said = process.communicate(timeout=60)
        return process.returncode, *said, left


@contextmanager
def open_served(workspace: Workspace) -> Iterator[Served]:
    served = Served(workspace)
    try:
        yield served
    finally:
        for left in workspace.list_processes():
            os.kill(left, signal.SIGKILL)
        for process in served.processes:
            process.communicate(timeout=60)


@pytest.fixture
def served(tmp_path: Path, provider: Provider) -> Iterator[Served]:
    """A ``make serve`` that has not been started."""
    with open_served(make_workspace(tmp_path, provider)) as opened:
        yield opened


@pytest.mark.timeout(400)
def test_serve_runs_a_flow_and_one_ctrl_c_ends_all_of_it(served: Served, provider: Provider) -> None:
    provider.behaviour = Behaviour(hold_after=4)
    served.start()
    line = served.wait_until_ready()
    site = served.site
    up = answers(f"http://127.0.0.1:{served.prefect_port}/"), answers(f"http://127.0.0.1:{served.door_port}/v1/health")
    ui = httpx.get(f"http://127.0.0.1:{served.prefect_port}/ui-settings").json()["api_url"]
    [worker] = site.ask("POST", f"/work_pools/{POOL}/workers/filter")
    run = site.start_run()
    wait_until(lambda: site.read_state(run)[0] == "RUNNING", BEGIN_SECONDS, "the run runs")
    wait_until(lambda: provider.in_flight > 0, 60, "it asks")
    second = served.start()
    refused = second.communicate(timeout=60), second.returncode
    served.processes.pop()
    code, told, said, left = served.stop()
    logs = sorted(path.name for path in (served.workspace.folder / "logs").iterdir())

    assert (
        f"Prefect http://127.0.0.1:{served.prefect_port} · door http://127.0.0.1:{served.door_port}/v1 · "
        f"logs {served.workspace.folder}/logs · "
        "next, a key: .venv/bin/python -m flows.api keys issue --namespace u22a8 --scope authoring\n"
    ) == line
    assert (True, True) == up
    assert f"http://127.0.0.1:{served.prefect_port}/api" == ui
    assert f"make serve on {socket.gethostname()}" == worker["name"]
    assert (("", f"exemplars: port {served.prefect_port} is used by process"), 3) == (
        (refused[0][0], refused[0][1].partition(" is used by process")[0] + " is used by process"),
        refused[1],
    )
    assert "prefect server start" in refused[0][1]
    assert f"choose another port: PREFECT_SERVER_API_PORT={served.prefect_port + 1}" in refused[0][1]
    assert (0, "", {}) == (code, told, left)
    assert said.endswith("exemplars: everything is stopped\n")
    assert 2 == said.count("\n"), said
    assert ["deploy.log", "door.log", "prefect.log", "worker.log"] == logs
    site.start_server()
    assert ("CRASHED", True) == (
        site.read_state(run)[0],
        site.read_state(run)[1].startswith("The worker of this run ended during the run"),
    )


@pytest.mark.timeout(400)
def test_killed_serve_leaves_nothing_and_the_next_uses_the_server_that_is_configured(
    served: Served, provider: Provider
) -> None:
    provider.behaviour = Behaviour(hold_after=4)
    site = served.site
    site.start_server()
    served.start(warm=True, PREFECT_API_URL=site.url)
    line = served.wait_until_ready()
    run = site.start_run()
    wait_until(lambda: provider.in_flight > 0, 90, "it asks")
    server = site.processes["server"].pid
    served.processes[-1].kill()
    wait_until(lambda: [server] == list(served.workspace.list_processes()), STOP_SECONDS, "only the server is left")
    provider.behaviour = Behaviour()
    served.start(warm=True, PREFECT_API_URL=site.url)
    again = served.wait_until_ready()
    # By itself, where it had the time to say so before it was killed, or by the deploy step.
    wait_until(lambda: site.read_state(run)[0] == "CRASHED", 30, "the run is over")
    whole = site.start_run()
    wait_until(lambda: site.read_state(whole)[0] == "COMPLETED", 120, "the next run completes")

    assert line == again
    assert f"Prefect http://127.0.0.1:{served.prefect_port} · " in line
    assert not (served.workspace.folder / "logs" / "prefect.log").exists()


def test_port_of_the_door_that_is_taken_is_named_before_anything_starts(served: Served) -> None:
    with socket.create_server(("127.0.0.1", served.door_port)):
        process = served.start()
        told, said = process.communicate(timeout=60)

    assert (3, "") == (process.returncode, told)
    assert f"exemplars: port {served.door_port} is used by process {os.getpid()} (" in said
    assert f"or choose another port: EXEMPLARS_API_PORT={served.door_port + 1}\n" in said
    assert not (served.workspace.folder / "prefect" / "prefect.db").exists()


def test_deploy_that_fails_is_explained_and_all_is_stopped(served: Served) -> None:
    gone = f"http://127.0.0.1:{find_free_port()}/api"
    process = served.start(PREFECT_API_URL=gone)
    _, said = process.communicate(timeout=120)

    assert 3 == process.returncode
    assert "exemplars: deploy ended with exit code 3. The end of " in said
    assert f"The Prefect server at {gone} does not answer: ConnectError" in said
    assert said.endswith("Everything is stopped.\n")
    assert {} == served.workspace.list_processes()


def test_wrong_setting_is_named(served: Served) -> None:
    process = served.start(EXEMPLARS_API_PORT="many")

    assert "EXEMPLARS_API_PORT: found 'many'" in process.communicate(timeout=60)[1]
    assert 2 == process.returncode
