"""``make serve``: the order in which services start and stop, what is said of one that ends, and all of it whole."""

import itertools
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from fakes.database import lay_database
from fakes.provider import Behaviour, Provider
from fakes.site import POOL, Site, answers, find_free_port
from fakes.waiting import wait_until
from fakes.workspace import ROOT, Workspace, make_workspace

from engine.errors import InputError, OrchestratorError
from engine.settings import LogFormat, Settings
from flows.deploy.unfinished_runs import GONE
from flows.observability.json_logs import PREFECT_JSON_VARIABLES
from flows.serve import check_port, list_services

STOP_SECONDS = 60.0
START_SECONDS = 240.0
# A run of a POST starts within five seconds on a machine with nothing else to do.
BEGIN_SECONDS = 120.0
READY = "all is up\n"

Start = Callable[..., "House"]


@dataclass(frozen=True)
class House:
    """Stand-ins that are served."""

    workspace: Workspace
    process: "subprocess.Popen[str]"

    @property
    def logs(self) -> Path:
        return self.workspace.folder / "logs"

    def wait_until_ready(self) -> None:
        assert READY == read_line(self.process, 60), self.process.communicate(timeout=60)

    def find(self, words: str) -> list[int]:
        """The processes of the house whose command line has these words."""
        return [pid for pid, line in self.workspace.list_processes().items() if words in line]

    def find_service(self, told: dict[str, Any]) -> int:
        [found] = self.find(f"stand_in.py {told['port']}")
        return found

    def end(self, number: signal.Signals, whole_group: bool = False) -> tuple[int, str, str, dict[int, str]]:
        """Sends a signal: the exit code, what was said on both streams, and what is left of it all."""
        (os.killpg if whole_group else os.kill)(self.process.pid, number)
        left = self.workspace.wait_for_no_process(STOP_SECONDS)
        said = self.process.communicate(timeout=60)
        return self.process.returncode, *said, left


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
            "EXEMPLARS_KEYS_FILE": str(self.workspace.folder / "keys.json"),
            "PYTHONPATH": str(ROOT),
        }

    def start(self, **variables: str) -> "subprocess.Popen[str]":
        program = (sys.executable, "-m", "flows.serve")
        self.processes.append(self.workspace.start(program=program, **{**self.variables, **variables}))
        return self.processes[-1]

    def wait_until_ready(self) -> str:
        """The readiness line."""
        line = read_line(self.processes[-1], START_SECONDS)
        assert line, self.processes[-1].communicate(timeout=60)
        return line

    def stop(self) -> tuple[int, str, str, dict[int, str]]:
        """Ctrl-C: the exit code, both streams, and what is left after a minute."""
        process = self.processes[-1]
        os.killpg(process.pid, signal.SIGINT)
        left = self.workspace.wait_for_no_process(STOP_SECONDS)
        said = process.communicate(timeout=60)
        return process.returncode, *said, left


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Serves stand-ins, the later ones when the first one is ready."""
    workspace, houses = Workspace(tmp_path), list[House]()

    def begin(*services: dict[str, Any], start_seconds: float = 60.0) -> House:
        program = (sys.executable, "-m", "tests.fakes.supervised")
        stages = [services[:1], services[1:]]
        arguments = (str(workspace.folder / "logs"), json.dumps(stages), str(start_seconds))
        process = workspace.start(*arguments, program=program, PYTHONPATH=str(ROOT))
        houses.append(House(workspace, process))
        return houses[-1]

    yield begin
    end_all(workspace, [house.process for house in houses])


@pytest.fixture
def served(tmp_path: Path, provider: Provider) -> Iterator[Served]:
    """A ``make serve`` that has not been started."""
    opened = Served(make_workspace(tmp_path, provider))
    yield opened
    end_all(opened.workspace, opened.processes)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_one_signal_ends_all_the_last_started_first(start: Start, number: signal.Signals) -> None:
    house = start(describe("server"), describe("worker", "--run", "run-1"), describe("door"))
    house.wait_until_ready()

    assert (0, "settled door\nsettled worker\nsettled server\n", "", {}) == house.end(number)


def test_ctrl_c_reaches_the_whole_foreground_group_and_the_order_holds(start: Start) -> None:
    house = start(describe("server"), describe("door"))
    house.wait_until_ready()

    assert (0, "settled door\nsettled server\n", "", {}) == house.end(signal.SIGINT, whole_group=True)


def test_service_that_does_not_listen_is_killed_with_its_runs(start: Start) -> None:
    house = start(describe("server", "--deaf"), describe("worker", "--deaf", "--run", "run-1"))
    house.wait_until_ready()
    code, _, _, left = house.end(signal.SIGINT)

    assert (0, {}) == (code, left)


def test_second_signal_changes_nothing(start: Start) -> None:
    house = start(describe("server", "--deaf"))
    house.wait_until_ready()
    house.process.send_signal(signal.SIGINT)

    assert (0, "settled server\n", "", {}) == house.end(signal.SIGINT)


def test_killed_with_minus_nine_it_leaves_nothing(start: Start) -> None:
    house = start(describe("server"), describe("worker", "--deaf", "--run", "run-1"), describe("door"))
    house.wait_until_ready()
    code, _, _, left = house.end(signal.SIGKILL)

    assert (-signal.SIGKILL, {}) == (code, left)


def test_killed_inside_it_leaves_nothing(start: Start) -> None:
    house = start(describe("server"), describe("worker", "--deaf", "--run", "run-1"))
    house.wait_until_ready()
    [inside] = [pid for pid in house.find("tests.fakes.supervised") if pid != house.process.pid]
    os.kill(inside, signal.SIGKILL)
    house.process.communicate(timeout=60)

    assert {} == house.workspace.list_processes()


def test_service_that_ends_at_its_start_is_explained_and_all_is_stopped(start: Start) -> None:
    house = start(describe("server"), describe("worker", "--fails"), describe("door", "--mute"))
    told, said = house.process.communicate(timeout=60)

    assert (3, "settled door\nsettled worker\nsettled server\n") == (house.process.returncode, told)
    assert said == (
        f"exemplars: worker ended with exit code 4. The end of {house.logs / 'worker.log'}:\n"
        "  first words\n  the cellar is flooded\nEverything is stopped.\n"
    )
    assert {} == house.workspace.list_processes()


def test_service_that_is_never_ready_is_explained(start: Start) -> None:
    house = start(describe("server", "--mute"), start_seconds=1.0)
    _, said = house.process.communicate(timeout=60)

    assert 3 == house.process.returncode
    assert said == (
        f"exemplars: server was not ready after 1 s. The end of {house.logs / 'server.log'}: (nothing)\n"
        "Everything is stopped.\n"
    )
    assert {} == house.workspace.list_processes()


def test_signal_before_all_is_up_ends_all(start: Start) -> None:
    house = start(describe("server", "--mute"))
    wait_until(lambda: house.find("stand_in.py "), 60, "the service is started")

    assert (
        130,
        "settled server\n",
        "exemplars: interrupted before everything was up. Everything is stopped\n",
        {},
    ) == house.end(signal.SIGINT)


def test_step_that_ends_well_is_waited_for_and_no_loss(start: Start) -> None:
    house = start(describe("deploy", "--help", is_step=True), describe("door"))
    house.wait_until_ready()
    log = (house.logs / "deploy.log").read_text()

    assert (0, "settled door\nsettled deploy\n", "", {}) == house.end(signal.SIGINT)
    assert "usage: " in log


def test_service_that_dies_later_ends_all_with_its_name_last_lines_and_runs(start: Start) -> None:
    worker = describe("worker", "--run", "run-1")
    house = start(describe("server"), worker, describe("door"))
    house.wait_until_ready()
    os.kill(house.find_service(worker), signal.SIGKILL)
    told, said = house.process.communicate(timeout=60)

    assert (3, "settled door\nsettled worker\nsettled server\n") == (house.process.returncode, told)
    assert said == (
        f"exemplars: worker was killed by SIGKILL. The end of {house.logs / 'worker.log'}:\n  up\n"
        "Everything is stopped.\n"
    )
    assert {} == house.workspace.list_processes()


def test_free_port_is_free() -> None:
    check_port("127.0.0.1", find_free_port(), "PORT")


@pytest.mark.parametrize(("host", "family"), [("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)])
def test_port_that_is_taken_is_named_with_the_variable(host: str, family: socket.AddressFamily) -> None:
    with socket.create_server((host, 0), family=family) as held:
        port = held.getsockname()[1]
        with pytest.raises(OrchestratorError) as refused:
            check_port(host, port, "EXEMPLARS_API_PORT")

    assert (
        f"port {port} is used by another program. Stop it, or choose another port: EXEMPLARS_API_PORT={port + 1}"
        == str(refused.value)
    )


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
def test_host_that_is_not_ours_is_an_input_error(host: str) -> None:
    with pytest.raises(InputError, match=f"{host}:4200 .PORT.: .+. Choose another"):
        check_port(host, 4200, "PORT")


def test_port_zero_is_an_input_error() -> None:
    with pytest.raises(InputError, match="PORT=0 is not possible here"):
        check_port("127.0.0.1", 0, "PORT")


@pytest.mark.parametrize(
    ("wanted", "spoken"), [("text", [None] * len(PREFECT_JSON_VARIABLES)), ("json", [*PREFECT_JSON_VARIABLES.values()])]
)
def test_all_services_speak_json_where_that_is_wanted(wanted: LogFormat, spoken: list[str | None]) -> None:
    stages = list_services(Settings(log_format=wanted), "http://127.0.0.1:4200/api", {})

    assert [["prefect"], ["deploy"], ["worker", "door"]] == [[service.name for service in stage] for stage in stages]
    for service in itertools.chain(*stages):
        assert spoken == [service.environment.get(name) for name in PREFECT_JSON_VARIABLES]


@pytest.mark.slow
@pytest.mark.timeout(600)
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
    port = served.prefect_port
    assert (
        (
            "",
            f"exemplars: port {port} is used by another program. Stop it, or choose another port: "
            f"PREFECT_SERVER_API_PORT={port + 1}\n",
        ),
        3,
    ) == refused
    assert (0, "", {}) == (code, told, left)
    assert said.endswith("exemplars: everything is stopped\n")
    assert 2 == said.count("\n"), said
    assert ["deploy.log", "door.log", "prefect.log", "worker.log"] == logs
    site.start_server()
    assert ("CRASHED", GONE) == site.read_state(run)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_killed_serve_leaves_nothing_and_the_next_uses_the_server_that_is_configured(
    served: Served, provider: Provider
) -> None:
    provider.behaviour = Behaviour(hold_after=4)
    site = served.site
    site.start_server()
    served.start(PREFECT_API_URL=site.url)
    line = served.wait_until_ready()
    run = site.start_run()
    wait_until(lambda: provider.in_flight > 0, 90, "it asks")
    server = site.processes["server"].pid
    served.processes[-1].kill()
    wait_until(lambda: [server] == list(served.workspace.list_processes()), STOP_SECONDS, "only the server is left")
    provider.behaviour = Behaviour()
    served.start(PREFECT_API_URL=site.url)
    again = served.wait_until_ready()
    # When it was stopped, or by the deploy step.
    wait_until(lambda: site.read_state(run)[0] == "CRASHED", 30, "the run is over")
    whole = site.start_run()
    wait_until(lambda: site.read_state(whole)[0] == "COMPLETED", 120, "the next run completes")

    assert line == again
    assert f"Prefect http://127.0.0.1:{served.prefect_port} · " in line
    assert not (served.workspace.folder / "logs" / "prefect.log").exists()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_worker_that_is_killed_ends_all_and_its_run_is_over_at_the_next_start(
    served: Served, provider: Provider
) -> None:
    provider.behaviour = Behaviour(hold_after=4)
    lay_database(Path(served.variables["PREFECT_HOME"]))
    served.start()
    served.wait_until_ready()
    run = served.site.start_run()
    wait_until(lambda: provider.in_flight > 0, 90, "it asks")
    [worker] = [pid for pid, line in served.workspace.list_processes().items() if " worker start " in line]
    os.kill(worker, signal.SIGKILL)
    _, said = served.processes[-1].communicate(timeout=60)
    left = served.workspace.list_processes()
    served.start()
    served.wait_until_ready()

    assert (3, {}) == (served.processes[0].returncode, left)
    assert f"exemplars: worker was killed by SIGKILL. The end of {served.workspace.folder}/logs/worker.log:\n" in said
    assert ("CRASHED", GONE) == served.site.read_state(run)


@pytest.mark.slow
def test_port_of_the_door_that_is_taken_is_named_before_anything_starts(served: Served) -> None:
    with socket.create_server(("127.0.0.1", served.door_port)):
        process = served.start()
        told, said = process.communicate(timeout=60)

    assert (3, "") == (process.returncode, told)
    assert f"exemplars: port {served.door_port} is used by another program. " in said
    assert f"or choose another port: EXEMPLARS_API_PORT={served.door_port + 1}\n" in said
    assert not (served.workspace.folder / "prefect" / "prefect.db").exists()


@pytest.mark.slow
def test_deploy_that_fails_is_explained_and_all_is_stopped(served: Served) -> None:
    gone = f"http://127.0.0.1:{find_free_port()}/api"
    process = served.start(PREFECT_API_URL=gone)
    _, said = process.communicate(timeout=120)

    assert 3 == process.returncode
    assert "exemplars: deploy ended with exit code 3. The end of " in said
    assert f"The Prefect server at {gone} does not answer: ConnectError" in said
    assert said.endswith("Everything is stopped.\n")
    assert {} == served.workspace.list_processes()


@pytest.mark.slow
def test_wrong_setting_is_named(served: Served) -> None:
    process = served.start(EXEMPLARS_API_PORT="many")

    assert "EXEMPLARS_API_PORT: found 'many'" in process.communicate(timeout=60)[1]
    assert 2 == process.returncode


def describe(name: str, *arguments: str, **fields: object) -> dict[str, Any]:
    """A stand-in on a port of its own."""
    return {"name": name, "arguments": arguments, "port": find_free_port(), **fields}


def read_line(process: "subprocess.Popen[str]", seconds: float) -> str:
    """The first line on standard output, empty where none comes in time."""
    assert process.stdout is not None
    return process.stdout.readline() if select.select([process.stdout], [], [], seconds)[0] else ""


def end_all(workspace: Workspace, processes: list["subprocess.Popen[str]"]) -> None:
    """Nothing of the workspace is left."""
    for left in workspace.list_processes():
        os.kill(left, signal.SIGKILL)
    for process in processes:
        process.communicate(timeout=60)
