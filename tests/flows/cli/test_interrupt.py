"""A run that is interrupted or killed in the middle: it leaves no process, and a second start goes on from there."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
from fakes.database import lay_database
from fakes.long import long
from fakes.provider import Behaviour, Provider
from fakes.waiting import wait_until
from fakes.workspace import HANDLE, Workspace, make_workspace, read_kept, read_manifest, read_rejected

from engine.replies.admin import list_cache
from engine.settings import RepliesPlace

pytestmark = pytest.mark.slow

CONCURRENCY = 6
ANSWERED = 20
# What is still there after a minute hangs; how fast it ends is for the benchmarks.
STOP_SECONDS = 60.0
TOLD = "exemplars: interrupted. The replies so far are kept: the next start continues from them\n"


@dataclass(frozen=True)
class Started:
    """A command that is under way in a workspace."""

    workspace: Workspace
    process: "subprocess.Popen[str]"

    def interrupt(self) -> tuple[str, dict[int, str]]:
        """Ctrl-C: what it says on stderr, and the processes that are left after a minute, itself included."""
        os.killpg(self.process.pid, signal.SIGINT)
        left = self.workspace.wait_for_no_process(STOP_SECONDS)
        return self.process.communicate(timeout=60)[1], left

    def kill(self) -> dict[int, str]:
        """``kill -9`` of the command alone: the processes that are left after a minute."""
        self.process.kill()
        self.process.communicate(timeout=60)
        return self.workspace.wait_for_no_process(STOP_SECONDS)


@pytest.fixture(scope="module")
def prefect_home(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Where the temporary Prefect servers of these runs keep their database."""
    home = tmp_path_factory.mktemp("prefect")
    lay_database(home)
    return str(home)


@pytest.fixture
def asking(tmp_path: Path, provider: Provider, prefect_home: str, request: pytest.FixtureRequest) -> Iterator[Started]:
    """A run in mid-generation: the provider has answered twenty calls and sits on the six that are in flight.

    It is forked, unless the test is given the parameter ``executed``.
    """
    provider.behaviour = Behaviour(seconds=0.05, hold_after=ANSWERED)
    workspace = make_workspace(tmp_path / "stopped", provider, EXEMPLARS_CONCURRENCY=str(CONCURRENCY))
    workspace.write_effort(exemplars_per_pole=8)
    with start(workspace, prefect_home, warm=getattr(request, "param", "forked") == "forked") as started:
        wait_until(
            lambda: (ANSWERED, CONCURRENCY) == (provider.answers.total(), provider.in_flight), process=started.process
        )
        yield started


@pytest.fixture
def embedded(tmp_path: Path, prefect_home: str) -> Iterator[Started]:
    """A run with the embedded model in mid-generation."""
    workspace = make_workspace(tmp_path)
    workspace.write_effort(exemplars_per_pole=40)
    with start(workspace, prefect_home, warm=True) as started:
        # The model has only what other tests leave of the cores.
        wait_until(lambda: count_kept_replies(workspace) > 0, 240, process=started.process)
        yield started


@contextmanager
def start(workspace: Workspace, prefect_home: str, warm: bool = False) -> Iterator[Started]:
    process = workspace.start(warm=warm, PREFECT_HOME=prefect_home)
    try:
        yield Started(workspace, process)
    finally:
        for left in workspace.list_processes():
            os.kill(left, signal.SIGKILL)
        process.wait()


def count_kept_replies(workspace: Workspace) -> int:
    return sum(plan.replies or 0 for plan in list_cache(RepliesPlace(str(workspace.folder / "cache"))))


def count_servers(workspace: Workspace) -> tuple[int, int]:
    lines = workspace.list_processes().values()
    prefect = sum("temporary_server_process.py" in line for line in lines)
    return prefect, sum("embedded_server.py" in line for line in lines)


@pytest.mark.parametrize("asking", ["executed"], indirect=True)
def test_interrupt_ends_all_and_a_second_start_goes_on(
    prefect_server: str, asking: Started, provider: Provider
) -> None:
    said, left = asking.interrupt()
    provider.behaviour = Behaviour()
    asking.workspace.run()
    [folder] = asking.workspace.list_sets()

    assert {} == left
    assert 130 == asking.process.returncode
    assert said.endswith(TOLD)
    assert "Traceback" not in said
    assert provider.repeated <= CONCURRENCY
    assert "attached" == read_manifest(folder)["status"]


def test_interrupt_before_the_run_has_begun_ends_all(tmp_path: Path, prefect_home: str) -> None:
    with start(make_workspace(tmp_path), prefect_home) as started:
        assert started.process.stderr is not None
        begun = started.process.stderr.readline()
        said, left = started.interrupt()

    assert begun.startswith(HANDLE)
    assert said.startswith("exemplars: interrupted")
    assert (130, 1, {}) == (started.process.returncode, said.count("\n"), left)


def test_kill_repeats_no_more_than_was_in_flight_and_changes_nothing(
    prefect_server: str, tmp_path: Path, asking: Started, provider: Provider
) -> None:
    servers = count_servers(asking.workspace)
    left = asking.kill()
    stored = asking.workspace.list_files()
    provider.behaviour = Behaviour()
    asking.workspace.run()
    repeated = provider.repeated
    whole = make_workspace(tmp_path / "whole", provider, EXEMPLARS_CONCURRENCY=str(CONCURRENCY))
    whole.write_effort(exemplars_per_pole=8)
    whole.run()
    [resumed], [straight] = asking.workspace.list_sets(), whole.list_sets()

    assert ((1, 0), {}, []) == (servers, left, stored)
    assert repeated <= CONCURRENCY
    assert read_manifest(straight)["plan_id"] == read_manifest(resumed)["plan_id"]
    for read in (read_kept, read_rejected):
        expected, actual = (read(folder).drop(columns=["run_id", "created_at"]) for folder in (straight, resumed))
        pd.testing.assert_frame_equal(expected, actual)


def test_killed_run_takes_its_servers_along(embedded: Started) -> None:
    servers = count_servers(embedded.workspace)

    assert ((1, 1), {}) == (servers, embedded.kill())


@long
def test_interrupted_run_takes_its_servers_along(embedded: Started) -> None:
    servers = count_servers(embedded.workspace)
    said, left = embedded.interrupt()

    assert ((1, 1), {}) == (servers, left)
    assert (130, True) == (embedded.process.returncode, said.endswith(TOLD))
