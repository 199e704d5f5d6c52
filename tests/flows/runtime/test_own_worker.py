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

from flows.runtime.own_worker import OWN_WORKER, forking_worker

pytestmark = pytest.mark.slow

PROGRAM = (str(Path(sys.executable).with_name("exemplars")), "synthesize", HANDLE, "--effort", "low")


def list_workers(workspace: Workspace, pid: int) -> list[int]:
    """The forks of a command, which have its command line."""
    command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    return [found for found, words in workspace.list_processes().items() if words == command and found != pid]


def test_worker_that_is_lost_costs_nothing(tmp_path: Path, provider: Provider, prefect_server: str) -> None:
    workspace = make_workspace(tmp_path, provider)
    with workspace.start(program=PROGRAM, PREFECT_API_URL=prefect_server) as process:
        wait_until(lambda: list_workers(workspace, process.pid), 60, "the worker is there")
        [worker] = list_workers(workspace, process.pid)
        os.kill(worker, signal.SIGKILL)
        said = process.communicate()[1]
    [folder] = workspace.list_sets()

    assert 0 == process.returncode, said
    assert "attached" == read_manifest(folder)["status"]
    assert {} == workspace.wait_for_no_process(60)


def test_process_with_threads_does_all_itself() -> None:
    over = threading.Event()
    thread = threading.Thread(target=over.wait)
    thread.start()
    with forking_worker():
        found = OWN_WORKER.get()
    over.set()
    thread.join()

    assert found is None
