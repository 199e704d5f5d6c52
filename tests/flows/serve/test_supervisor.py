"""The supervisor of ``make serve``, with small programs as its parts."""

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fakes.site import answers, find_free_port
from fakes.waiting import wait_until
from fakes.workspace import ROOT, Workspace

STOP_SECONDS = 60.0
READY = "all is up\n"

Start = Callable[..., "House"]


@dataclass(frozen=True)
class House:
    """A supervisor that was started on its own."""

    workspace: Workspace
    process: "subprocess.Popen[str]"

    @property
    def logs(self) -> Path:
        return self.workspace.folder / "logs"

    def wait_until_ready(self) -> None:
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], 60)
        line = self.process.stdout.readline() if ready else "nothing"
        assert READY == line, self.process.communicate(timeout=60)

    def find(self, words: str) -> list[int]:
        """The processes of the house whose command line has these words."""
        return [pid for pid, line in self.workspace.list_processes().items() if words in line]

    def end(self, number: signal.Signals, whole_group: bool = False) -> tuple[int, str, str, dict[int, str]]:
        """Sends the supervisor a signal: its exit code, what it said on both streams, and what is left of it all."""
        (os.killpg if whole_group else os.kill)(self.process.pid, number)
        left = self.workspace.wait_for_no_process(STOP_SECONDS)
        said = self.process.communicate(timeout=60)
        return self.process.returncode, *said, left


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a supervisor of stages of stand-ins."""
    with open_houses(Workspace(tmp_path)) as opened:
        yield opened


@contextmanager
def open_houses(workspace: Workspace) -> Iterator[Start]:
    houses = []

    def begin(*stages: list[dict[str, Any]]) -> House:
        program = (sys.executable, "-m", "tests.fakes.supervised")
        arguments = (str(workspace.folder / "logs"), json.dumps(stages))
        houses.append(House(workspace, workspace.start(*arguments, program=program, PYTHONPATH=str(ROOT))))
        return houses[-1]

    try:
        yield begin
    finally:
        for left in workspace.list_processes():
            os.kill(left, signal.SIGKILL)
        for house in houses:
            house.process.communicate(timeout=60)


def find_part(house: House, told: dict[str, Any]) -> int:
    """The process of a part itself, not the one around it."""
    [found] = [
        pid for pid in house.find(f"stand_in.py {told['port']}") if pid not in house.find("flows.serve.service_process")
    ]
    return found


def part(name: str, *arguments: str, **fields: object) -> dict[str, Any]:
    return {"name": name, "arguments": arguments, "port": find_free_port(), **fields}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_one_signal_ends_all_the_last_started_first(start: Start, number: signal.Signals) -> None:
    house = start([part("server")], [part("worker", "--run", "run-1"), part("door")])
    house.wait_until_ready()
    code, told, said, left = house.end(number)

    assert {} == left
    assert (0, "settled door: \nsettled worker: run-1\nsettled server: \n", "") == (code, told, said)


def test_ctrl_c_reaches_the_whole_foreground_group_and_the_order_holds(start: Start) -> None:
    house = start([part("server")], [part("door")])
    house.wait_until_ready()

    assert (0, "settled door: \nsettled server: \n", "", {}) == house.end(signal.SIGINT, whole_group=True)


def test_part_that_does_not_listen_is_killed_with_its_runs(start: Start) -> None:
    house = start([part("server", "--deaf")], [part("worker", "--deaf", "--run", "run-1", stop_seconds=1.0)])
    house.wait_until_ready()
    code, _, _, left = house.end(signal.SIGINT)

    assert (0, {}) == (code, left)


def test_second_signal_changes_nothing(start: Start) -> None:
    house = start([part("server", "--deaf")])
    house.wait_until_ready()
    house.process.send_signal(signal.SIGINT)

    assert (0, "settled server: \n", "", {}) == house.end(signal.SIGINT)


def test_killed_supervisor_leaves_nothing(start: Start) -> None:
    house = start([part("server")], [part("worker", "--deaf", "--run", "run-1"), part("door")])
    house.wait_until_ready()
    code, _, _, left = house.end(signal.SIGKILL)

    assert (-signal.SIGKILL, {}) == (code, left)


def test_part_that_dies_at_start_is_explained_and_all_is_stopped(start: Start) -> None:
    house = start([part("server")], [part("worker", "--fails"), part("door", "--mute")])
    told, said = house.process.communicate(timeout=60)

    assert 3 == house.process.returncode
    assert "all is up" not in told
    assert said == (
        f"exemplars: worker ended with exit code 4. The end of {house.logs / 'worker.log'}:\n"
        "  first words\n  the cellar is flooded\nEverything is stopped.\n"
    )
    assert {} == house.workspace.list_processes()


def test_program_that_is_not_there_is_explained(start: Start) -> None:
    house = start([part("server", command=["/nowhere/python"])])
    _, said = house.process.communicate(timeout=60)

    assert 3 == house.process.returncode
    assert "server ended with exit code 127" in said
    assert "/nowhere/python: No such file or directory" in said


def test_part_that_is_never_ready_is_explained(start: Start) -> None:
    house = start([part("server", "--mute", start_seconds=1.0)])
    _, said = house.process.communicate(timeout=60)

    assert 3 == house.process.returncode
    assert said == (
        "exemplars: server was not ready after 1 s, so everything is stopped. "
        f"The end of {house.logs / 'server.log'}: (nothing)\n"
    )
    assert {} == house.workspace.list_processes()


def test_signal_before_all_is_up_ends_all(start: Start) -> None:
    house = start([part("server", "--mute")])
    wait_until(lambda: house.find("stand_in.py"), 60, "the part is started")
    code, told, said, left = house.end(signal.SIGINT)

    assert (130, "settled server: \n", {}) == (code, told, left)
    assert "exemplars: interrupted before everything was up. Everything is stopped\n" == said


def test_step_that_ends_well_is_waited_for_and_not_started_again(start: Start) -> None:
    house = start([part("deploy", "--help", once=True)], [part("door")])
    house.wait_until_ready()
    code, told, said, left = house.end(signal.SIGINT)

    assert (0, "settled door: \n", "", {}) == (code, told, said, left)
    assert "answers every GET" not in said
    assert "usage: " in (house.logs / "deploy.log").read_text()


def test_part_that_dies_later_is_cleared_with_its_runs_and_started_again(start: Start) -> None:
    worker = part("worker", "--run", "run-1")
    house = start([worker])
    house.wait_until_ready()
    runs = house.find("import subprocess, sys")
    os.kill(find_part(house, worker), signal.SIGKILL)
    wait_until(lambda: (house.logs / "worker.log").read_text().count("up\n") == 2, 60, "it is started again")
    wait_until(lambda: answers(f"http://127.0.0.1:{worker['port']}/"), 60, "it answers again")
    living = {*runs} & {*house.find("import subprocess, sys")}
    code, told, said, left = house.end(signal.SIGINT)

    assert set() == living
    assert (0, "settled worker: run-1\n" * 2, {}) == (code, told, left)
    assert said == (
        f"exemplars: worker was killed by SIGKILL. The end of {house.logs / 'worker.log'}:\n  up\n"
        "exemplars: worker is restarted\n"
    )


def test_part_whose_own_process_is_killed_is_cleared_before_it_starts_again(start: Start) -> None:
    server = part("server")
    house = start([server])
    house.wait_until_ready()
    [around] = house.find("flows.serve.service_process")
    os.kill(around, signal.SIGKILL)
    wait_until(lambda: (house.logs / "server.log").read_text().count("up\n") == 2, 60, "it is started again")
    code, _, said, left = house.end(signal.SIGINT)

    assert (0, {}) == (code, left)
    assert "server was killed by SIGKILL" in said


def test_part_that_keeps_dying_ends_all(start: Start) -> None:
    server, door = part("server"), part("door")
    house = start([server], [door])
    house.wait_until_ready()
    for deaths in range(1, 6):
        wait_until(lambda: (house.logs / "door.log").read_text().count("up\n") == deaths, 60, "it is up")  # noqa: B023
        os.kill(find_part(house, door), signal.SIGKILL)
    told, said = house.process.communicate(timeout=60)

    assert 3 == house.process.returncode
    assert 4 == said.count("exemplars: door is restarted")
    assert "exemplars: 5 deaths within 60 s, so everything is stopped. door was killed by SIGKILL." in said
    assert told.endswith("settled server: \n")
    assert {} == house.workspace.list_processes()
