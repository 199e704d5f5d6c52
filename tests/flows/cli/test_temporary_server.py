"""A command ends before its temporary server has; the next one does not mind."""

import sys
from pathlib import Path

import pytest
from fakes.provider import Provider
from fakes.workspace import HANDLE, make_workspace

pytestmark = pytest.mark.slow

PROGRAM = (sys.executable, "-c", "from flows.cli.app import run; run()", "synthesize", HANDLE, "--effort", "low")


def test_second_command_begins_while_the_first_server_ends(tmp_path: Path, provider: Provider) -> None:
    workspace, home = make_workspace(tmp_path, provider), str(tmp_path / "home")
    with workspace.start(program=PROGRAM, warm=True, PREFECT_HOME=home) as first:
        said = [first.communicate()[1]]
    with workspace.start(program=PROGRAM, warm=True, PREFECT_HOME=home) as second:
        said.append(second.communicate()[1])
    left = workspace.wait_for_no_process(60)

    assert [0, 0] == [first.returncode, second.returncode], said
    assert 2 == len(workspace.list_sets())
    assert {} == left


def test_profile_that_names_a_server_needs_no_other(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    url = "http://127.0.0.1:9/api"
    (home / "profiles.toml").write_text(f'active = "there"\n[profiles.there]\nPREFECT_API_URL = "{url}"\n')
    workspace = make_workspace(tmp_path / "work", EXEMPLARS_SYNTH_MODEL="openai/test", EXEMPLARS_SYNTH_PRICE="0/0")
    with workspace.start(program=PROGRAM, warm=True, PREFECT_HOME=str(home)) as process:
        said = process.communicate()[1]
    left = workspace.wait_for_no_process(60)

    assert 3 == process.returncode
    assert f"The Prefect server at {url} does not answer" in said
    assert not (home / "prefect.db").exists()
    assert {} == left
