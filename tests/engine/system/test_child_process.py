"""A server as a child process: it starts beside its parent, and ends with it or when it is left."""

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from fakes.waiting import wait_until

from engine.system.child_process import ChildServer, run_child_server

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
    with run_child_server([sys.executable, "-c", SERVER], dict(os.environ), SECONDS) as address:
        stopped = read_pid(address)
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
