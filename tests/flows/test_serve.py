"""``make serve``: the order in which services start and stop, what is said of one that ends, and what is refused.

``tests/docs/test_http_walk.py`` has it whole, and ``tests/engine/system/test_child_process.py`` what its signals do.
"""

import itertools
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fakes.house import OVER, READY, House, StandIn
from fakes.ports import find_free_port
from fakes.waiting import wait_until
from prefect.settings import PREFECT_API_URL, PREFECT_SERVER_API_PORT, temporary_settings

from engine.settings import LogFormat, Settings, read_settings
from flows.observability.json_logs import PREFECT_JSON_VARIABLES
from flows.serve import GUARDED, list_services, main, name_address

ANALYTICS = "PREFECT_SERVER_ANALYTICS_ENABLED"
RUN = ("--run", "run-1")
SETTLED = ["settled api", "settled worker", "settled server"]
Start = Callable[..., House]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Serves stand-ins, the later ones when the first one is ready."""
    houses: list[House] = []

    def begin(*told: StandIn, start_seconds: float = 60.0) -> House:
        houses.append(House(tmp_path, told[:1], told[1:], start_seconds=start_seconds))
        return houses[-1]

    yield begin
    for house in houses:
        house.close()
        assert {} == house.workspace.list_processes()


def test_all_end_when_input_does_the_last_started_first_with_their_runs(start: Start) -> None:
    step = StandIn("deploy", ["--help"], is_step=True)
    house = start(StandIn("server", ["--deaf"]), step, StandIn("worker", ["--deaf", *RUN]), StandIn("api"))
    house.read_until(READY)
    # A run has a process, and that has one.
    wait_until(lambda: len(house.workspace.list_processes()) == 3 + 2, 60, "the run's processes are there")

    assert [READY] == house.said
    assert ["settled api", "settled worker", "settled deploy", "settled server", OVER] == house.close()
    assert "usage: " in (house.logs / "deploy.log").read_text()


@pytest.mark.parametrize(
    ("arguments", "seconds", "said"),
    [
        (["--fails"], 60.0, "ended with exit code 4. The end of {}:\n  first words\n  the cellar is flooded\n"),
        (["--mute"], 1.0, "was not ready after 1 s. The end of {}: (nothing)\n"),
    ],
)
def test_service_that_does_not_start_is_explained_and_all_is_stopped(
    start: Start, arguments: list[str], seconds: float, said: str
) -> None:
    house = start(StandIn("worker", arguments), StandIn("api"), start_seconds=seconds)

    # None is started after it.
    assert [
        "settled worker",
        f"3: worker {said.format(house.logs / 'worker.log')}Everything is stopped.",
    ] == house.wait()


def test_input_that_ends_before_all_is_up_ends_all(start: Start) -> None:
    server = StandIn("server", ["--mute"])
    house = start(server)
    wait_until(lambda: house.find(server), 60, "the service is started")

    assert ["settled server", "130: interrupted before everything was up. Everything is stopped"] == house.close()


def test_service_that_dies_later_ends_all_with_its_name_last_lines_and_runs(start: Start) -> None:
    worker = StandIn("worker", RUN)
    house = start(StandIn("server"), worker, StandIn("api"))
    house.read_until(READY)
    for pid in house.find(worker):
        os.kill(pid, signal.SIGKILL)

    assert [
        READY,
        *SETTLED,
        f"3: worker was killed by SIGKILL. The end of {house.logs / 'worker.log'}:\n  up\nEverything is stopped.",
    ] == house.wait()


@pytest.mark.parametrize(
    ("wanted", "spoken"), [("text", [None] * len(PREFECT_JSON_VARIABLES)), ("json", [*PREFECT_JSON_VARIABLES.values()])]
)
def test_all_services_speak_json_where_that_is_wanted(wanted: LogFormat, spoken: list[str | None]) -> None:
    stages = list_services(Settings(log_format=wanted), "http://127.0.0.1:4200/api", {})

    assert [["prefect"], ["deploy"], ["worker", "api"]] == [[service.name for service in stage] for stage in stages]
    for service in itertools.chain(*stages):
        assert ("1", "false") == (service.environment["DO_NOT_TRACK"], service.environment[ANALYTICS])
        assert spoken == [service.environment.get(name) for name in PREFECT_JSON_VARIABLES]


def test_all_services_and_their_runs_serve_the_store_of_the_project_that_it_was_started_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EXEMPLARS_SAMPLES_URI", raising=False)
    (tmp_path / "exemplars.toml").write_text('samples_uri = "sets"')
    monkeypatch.chdir(tmp_path)
    stages = list_services(Settings(), "http://127.0.0.1:4200/api", {})
    # As a run of the worker's, in a folder of its own.
    monkeypatch.chdir("/")
    for service in itertools.chain(*stages):
        monkeypatch.setenv("EXEMPLARS_ROOT", service.environment["EXEMPLARS_ROOT"])
        settings = read_settings()
        assert str(tmp_path / "sets") == settings.samples_uri


@pytest.mark.parametrize("variable", ["PREFECT_SERVER_API_PORT", "EXEMPLARS_API_PORT", "EXEMPLARS_METRICS_PORT"])
def test_port_that_is_taken_ends_it_before_anything_starts(
    variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["serve", GUARDED])
    monkeypatch.setenv("EXEMPLARS_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("EXEMPLARS_API_PORT", str(find_free_port()))
    with socket.create_server(("127.0.0.1", 0)) as held:
        taken = held.getsockname()[1]
        monkeypatch.setenv(variable, str(taken))
        prefect = taken if variable.startswith("PREFECT_") else find_free_port()
        with temporary_settings({PREFECT_SERVER_API_PORT: prefect}, restore_defaults={PREFECT_API_URL}):
            code = main()

    told = capsys.readouterr()
    assert (3, "") == (code, told.out)
    assert (
        f"another program listens there. Stop what listens there, or choose another address with {variable}" in told.err
    )
    assert [] == [*tmp_path.iterdir()]


@pytest.mark.parametrize(("host", "reached"), [("0.0.0.0", "127.0.0.1"), ("::", "[::1]"), ("shed.example",) * 2])
def test_host_that_means_every_interface_is_reached_on_loopback(host: str, reached: str) -> None:
    assert f"http://{reached}:80" == name_address(host, 80)
