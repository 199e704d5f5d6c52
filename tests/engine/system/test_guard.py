"""A guarded command leaves no process behind, whatever is killed."""

import os
import signal
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
from engine.system.child_process import run_guarded
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


@pytest.mark.parametrize(
    ("numbers", "killed", "code"),
    [([signal.SIGTERM], "", "7\n"), ([signal.SIGINT] * 2, "", "7\n"), ([], "command", "-9\n"), ([], "guard", "")],
)
def test_command_stops_in_its_own_way_and_whatever_is_killed_no_process_is_left(
    workspace: Workspace, numbers: list[signal.Signals], killed: str, code: str
) -> None:
    guard = workspace.start(program=(sys.executable, "-c", GUARD), PYTHONPATH=str(ROOT))
    assert guard.stdout is not None
    assert "up\n" == guard.stdout.readline()
    wait_until(lambda: len(workspace.list_processes()) == 4, SECONDS, "the nested processes are there")
    lines = workspace.list_processes().items()
    [command] = [pid for pid, line in lines if "stopped in its own way" in line and "run_guarded" not in line]
    for number in numbers:
        guard.send_signal(number)
    if killed:
        os.kill(command if killed == "command" else guard.pid, signal.SIGKILL)

    if killed == "guard":
        assert "stopped in its own way\n" == guard.stdout.readline()
    else:
        said = "" if killed else "stopped in its own way\n"
        assert (said + code, "") == guard.communicate(timeout=SECONDS)
        assert {} == workspace.list_processes()
