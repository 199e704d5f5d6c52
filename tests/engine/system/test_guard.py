"""A guarded command leaves no process behind, whatever is killed."""

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.waiting import wait_until
from fakes.workspace import ROOT, Workspace

# It starts a process in a session of its own, which starts another one, and stops with a word when its input closes.
COMMAND = """
import subprocess, sys
nested = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(600)'])"
subprocess.Popen([sys.executable, "-c", nested], start_new_session=True)
print("up", flush=True)
sys.stdin.read()
print("stopped in its own way", flush=True)
sys.exit(7)
"""
GUARD = f"""
import sys
from engine.system.guard import run_guarded
print(run_guarded([sys.executable, "-c", {COMMAND!r}]))
"""
SECONDS = 60.0


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    """A folder whose processes are gone afterwards."""
    opened = Workspace(tmp_path)
    yield opened
    for left in opened.list_processes():
        os.kill(left, signal.SIGKILL)


def start(workspace: Workspace) -> "subprocess.Popen[str]":
    """A guard whose command is up, with all that it starts."""
    process = workspace.start(program=(sys.executable, "-c", GUARD), PYTHONPATH=str(ROOT))
    assert process.stdout is not None
    assert select.select([process.stdout], [], [], SECONDS)[0]
    assert "up\n" == process.stdout.readline()
    wait_until(lambda: len(workspace.list_processes()) == 4, SECONDS, "the nested processes are there")
    return process


@pytest.mark.parametrize("numbers", [[signal.SIGTERM], [signal.SIGHUP], [signal.SIGINT] * 2])
def test_signal_has_the_command_stop_in_its_own_way_and_a_second_one_changes_nothing(
    workspace: Workspace, numbers: list[signal.Signals]
) -> None:
    process = start(workspace)
    for number in numbers:
        process.send_signal(number)

    assert ("stopped in its own way\n7\n", "") == process.communicate(timeout=SECONDS)
    assert {} == workspace.list_processes()


def test_command_that_is_killed_leaves_nothing(workspace: Workspace) -> None:
    process = start(workspace)
    lines = workspace.list_processes().items()
    [command] = [pid for pid, line in lines if "stopped in its own way" in line and "run_guarded" not in line]
    os.kill(command, signal.SIGKILL)

    assert ("-9\n", "") == process.communicate(timeout=SECONDS)
    assert {} == workspace.list_processes()


def test_command_stops_when_its_guard_is_killed(workspace: Workspace) -> None:
    process = start(workspace)
    process.kill()

    assert process.stdout is not None
    assert select.select([process.stdout], [], [], SECONDS)[0]
    assert "stopped in its own way\n" == process.stdout.readline()
