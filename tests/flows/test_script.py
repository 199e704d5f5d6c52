"""The ways in which programs call the flow, as the guide and the notebook show them; none leaves a complaint."""

import json
import re
import signal
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import nbformat
import pytest
from fakes.blocks import find_blocks
from fakes.long import long
from fakes.site import CLIENT, Site, clear_environment
from fakes.waiting import wait_until
from fakes.warm import WarmPopen
from fakes.workspace import HANDLE, ROOT, Workspace, make_workspace
from jupyter_client import launcher
from nbclient import NotebookClient

pytestmark = pytest.mark.slow

SHOWN = "u22a8.technical-writing"
GUIDE = find_blocks((ROOT / "docs/guides/programs.md").read_text())
SAMPLES, SCRIPT, SUBFLOW, SERVED = [block.text for block in GUIDE if block.language == "python"]
NOTEBOOK = ROOT / "docs/start/notebook.ipynb"
# Of the 4 exemplars of a pole that the workspace's dial asks for.
ATTACHED = 16


def write_program(folder: Path, text: str) -> tuple[str, str]:
    file = folder / "program.py"
    file.write_text(text.replace(SHOWN, HANDLE))
    return sys.executable, str(file)


@long
def test_embedded_model_leaves_no_connection_open_at_the_end_of_a_script(prefect_server: str, tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path)
    workspace.write_effort(exemplars_per_pole=1)
    started = workspace.start(
        program=write_program(tmp_path, SCRIPT),
        PREFECT_API_URL=prefect_server,
        PREFECT_LOGGING_LEVEL="ERROR",
        PYTHONPATH=str(ROOT),
    )
    said, complained = started.communicate(timeout=240)

    assert (True, "") == (said.startswith("4 attached"), complained)


def test_flow_is_a_step_of_another_flow_and_its_samples_are_loaded(
    prefect_server: str, workspace: Workspace, tmp_path: Path
) -> None:
    told = []
    for text in (SUBFLOW, SAMPLES):
        started = workspace.start(
            program=write_program(tmp_path, text),
            warm=True,
            PREFECT_API_URL=prefect_server,
            PREFECT_LOGGING_LEVEL="ERROR",
            PYTHONPATH=str(ROOT),
        )
        told.append(started.communicate(timeout=120))

    assert [(f"{ATTACHED}\n", ""), (f"{HANDLE} {ATTACHED} 2\n", "")] == told
    [parent] = list_runs(prefect_server, flows={"name": {"any_": ["refresh"]}})
    [child] = list_runs(prefect_server, flow_runs={"parent_flow_run_id": {"any_": [parent["id"]]}})
    assert ("COMPLETED", HANDLE) == (parent["state_type"], child["parameters"]["handle"])


def test_flow_is_served(prefect_server: str, workspace: Workspace, tmp_path: Path) -> None:
    started = workspace.start(
        program=write_program(tmp_path, SERVED), warm=True, PREFECT_API_URL=prefect_server, PYTHONPATH=str(ROOT)
    )
    place = f"{prefect_server}/deployments/name/synthesize/here"
    wait_until(lambda: CLIENT.get(place).is_success, 60, "it is served", process=started)
    site, deployment = Site(workspace, urlsplit(prefect_server).port or 0), CLIENT.get(place).json()
    made = site.ask("POST", f"/deployments/{deployment['id']}/create_flow_run", name="asked for")
    run = f"{prefect_server}/flow_runs/{made['id']}"
    wait_until(lambda: CLIENT.get(run).json()["state_type"] in ("COMPLETED", "FAILED", "CRASHED"), 120, "it ends")
    ended = CLIENT.get(run).json()
    started.send_signal(signal.SIGINT)
    started.communicate(timeout=60)

    assert "COMPLETED" == ended["state_type"], ended["state"]
    assert workspace.find_set(ended["id"]).is_dir()


def test_notebook_goes_from_a_model_to_a_classifier(
    prefect_server: str, workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launcher, "Popen", WarmPopen)
    workspace.model.rename(workspace.model.with_name(SHOWN))
    notebook = nbformat.reads(NOTEBOOK.read_text(), as_version=4)  # type: ignore[no-untyped-call]
    shown = list_printed(notebook)
    own = {"IPYTHONDIR": str(tmp_path / "ipython"), "PREFECT_API_URL": prefect_server, "PYTHONPATH": str(ROOT)}
    client = NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}})
    client.execute(env={**clear_environment(), **workspace.variables, **own})
    told = list_printed(notebook)

    assert len(told) == len(shown) == len([cell for cell in notebook.cells if cell.cell_type == "code"])
    # In the committed one by the embedded model.
    assert [bool(text) for text in shown] == [bool(text) for text in told]
    for texts in (shown, told):
        [(right, of, auc)] = re.findall(
            r"^(\d+) of (\d+) held-out texts right, AUC (\d\.\d\d)$", "\n".join(texts), re.M
        )
        assert 0 < int(right) <= int(of)
        assert 0 <= float(auc) <= 1


def list_runs(server: str, **wanted: object) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = CLIENT.post(f"{server}/flow_runs/filter", json=wanted).json()
    return found


def list_printed(notebook: nbformat.NotebookNode) -> list[str]:
    """What each cell of code has printed or shown, as text."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [] == [json.dumps(output) for cell in cells for output in cell.outputs if output.output_type == "error"]
    return ["".join(output.get("text") or output.data["text/plain"] for output in cell.outputs) for cell in cells]
