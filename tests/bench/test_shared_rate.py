"""Three runs at once under one limit of requests a minute: what the provider sees of them, minute by minute."""

import os
import shutil
from pathlib import Path

import pytest
from fakes.provider import Behaviour, serve_provider
from fakes.seen import Seen
from fakes.site import open_site
from fakes.workspace import HANDLE, PROGRAM, Workspace, make_workspace

PER_MINUTE = int(os.environ.get("PER_MINUTE", "120"))
HANDLES = (HANDLE, f"{HANDLE}-two", f"{HANDLE}-three")
# Some 180 calls a run: four and a half minutes of the limit for the three.
LEVEL = {"exemplars_per_pole": 20, "over_generation": 2.2}
SECONDS = 900


@pytest.mark.slow
@pytest.mark.timeout(SECONDS + 120)
def test_three_runs_keep_to_one_rate(tmp_path: Path) -> None:
    with serve_provider(Behaviour(seconds=2.0)) as provider:
        limit = {"EXEMPLARS_REQUESTS_PER_MINUTE": str(PER_MINUTE), "EXEMPLARS_CONCURRENCY": "32"}
        workspace = make_workspace(tmp_path / "site", provider, **limit)
        workspace.write_effort(**LEVEL)
        for handle in HANDLES[1:]:
            shutil.copytree(workspace.model, workspace.model.with_name(handle))
        with open_site(workspace) as site:
            site.start_server()
            codes = run_all(workspace, site.url)

    assert [0, 0, 0] == codes
    seen = Seen([(moment, 0) for moment in sorted(provider.moments)])
    print(seen.show())
    assert 3 == len(workspace.list_sets())
    assert seen.count_most()[0] <= PER_MINUTE + 1
    # The first minute begins with the runs, and the last calls of each are few.
    assert seen.calls_per_minute >= 0.8 * PER_MINUTE


def run_all(workspace: Workspace, api: str) -> list[int]:
    """The exit codes of the main job of each model, run at the same time."""
    programs = [[handle if word == HANDLE else word for word in PROGRAM] for handle in HANDLES]
    running = [workspace.start(program=program, PREFECT_API_URL=api) for program in programs]
    for process in running:
        said = process.communicate(timeout=SECONDS)
        print(said[0][-400:], said[1][-2000:] if process.returncode else "")
    return [process.returncode for process in running]
