"""A run that a script calls, beside a server that watches for heartbeats: alive it stays so, and killed it is found."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.provider import Behaviour, Provider
from fakes.site import Site, open_site
from fakes.waiting import wait_until
from fakes.workspace import HANDLE, ROOT, Workspace

pytestmark = pytest.mark.slow

DOOMED = "u22a8.doomed"
# More than the 30 s between heartbeats, and fewer than the 180 s that Prefect itself has for a script's run.
SILENCE_SECONDS = 50
SCRIPT = """
import asyncio, sys
from flows.synthesize import synthesize
print(asyncio.run(synthesize(sys.argv[1], effort="low")).status)
"""


@pytest.fixture
def site(workspace: Workspace) -> Iterator[Site]:
    shutil.copytree(workspace.model, workspace.model.with_name(DOOMED))
    with open_site(workspace) as opened:
        opened.start_deployed()
        opened.shorten_silence(SILENCE_SECONDS)
        yield opened


@pytest.mark.timeout(400)
def test_script_s_run_is_crashed_when_it_is_killed_and_not_while_it_works(
    site: Site, provider: Provider, tmp_path: Path
) -> None:
    file = tmp_path / "script.py"
    file.write_text(SCRIPT)
    provider.behaviour = Behaviour(hold_after=0)
    living = start(site, file, HANDLE)
    wait_until(lambda: provider.in_flight >= 1, 120, "the first is at work", process=living)
    # Begun later, it is watched for longer.
    killed = start(site, file, DOOMED)
    wait_until(lambda: provider.in_flight >= 2, 120, "the second is at work", process=killed)
    runs = find_runs(site)
    killed.kill()
    killed.communicate()
    wait_until(lambda: site.read_state(runs[DOOMED])[0] == "CRASHED", 200, "the killed one is found")
    alive = site.read_state(runs[HANDLE])
    provider.behaviour = Behaviour()
    said, complained = living.communicate(timeout=120)

    assert ("RUNNING", "") == (alive[0], alive[1].replace("None", ""))
    assert "attached\n" == said, complained
    assert "Unclosed" not in complained
    assert "COMPLETED" == site.read_state(runs[HANDLE])[0]


def start(site: Site, file: Path, handle: str) -> "subprocess.Popen[str]":
    program = (sys.executable, str(file))
    variables = {"PYTHONPATH": str(ROOT), "PREFECT_API_URL": site.url}
    return site.workspace.start(handle, program=program, **variables)


def find_runs(site: Site) -> dict[str, str]:
    """The ids of the running runs by their handle."""
    found = site.ask("POST", "/flow_runs/filter")
    return {run["parameters"]["handle"]: run["id"] for run in found if run["state_type"] == "RUNNING"}
