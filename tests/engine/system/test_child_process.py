"""A server as a child process ends with its parent or when it is left; a guarded command leaves no process behind."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from fakes.waiting import wait_until
from fakes.workspace import ROOT, Workspace

from engine.system.child_process import ChildServer

# Once its input is closed it ends where a file is, or in its own time.
SERVER = """
import os, pathlib, sys, time
print(f"http://127.0.0.1/{os.getpid()}", flush=True)
sys.stdin.read()
while len(sys.argv) > 1 and not pathlib.Path(sys.argv[1]).exists():
    time.sleep(0.05)
"""
PARENT = """
import os, sys, time
from engine.system.child_process import ChildServer
server = ChildServer([sys.executable, "-c", sys.argv[1]], dict(os.environ))
print(server.wait_for_address(60), flush=True)
time.sleep(60)
"""
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


def is_there(pid: int) -> bool:
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    with suppress(OSError):
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    return False


def read_pid(address: str) -> int:
    return int(address.rpartition("/")[2])


def test_server_that_is_left_is_not_waited_for_and_one_whose_block_has_ended_is_gone(tmp_path: Path) -> None:
    may_end = tmp_path / "may-end"
    server = ChildServer([sys.executable, "-c", SERVER, str(may_end)], dict(os.environ))
    left = read_pid(server.wait_for_address(SECONDS))
    server.leave()
    server.leave()
    with ChildServer([sys.executable, "-c", SERVER], dict(os.environ)) as server:
        stopped = read_pid(server.wait_for_address(SECONDS))
        before = is_there(stopped)

    assert (True, True, False) == (is_there(left), before, is_there(stopped))
    may_end.touch()
    wait_until(lambda: not is_there(left), SECONDS, "the server has ended")


def test_server_ends_when_its_parent_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT, SERVER], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = read_pid(parent.stdout.readline().strip())
        parent.kill()

    wait_until(lambda: not is_there(pid), SECONDS, "the server has ended")


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
