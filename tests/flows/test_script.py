"""The ways in which programs call the flow, as the guide and the notebook show them; none leaves a complaint."""

import ast
import asyncio
import inspect
import os
import re
import runpy
import signal
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import nbformat
import pytest
from fakes.blocks import find_blocks
from fakes.site import CLIENT
from fakes.waiting import wait_until
from fakes.workspace import HANDLE, ROOT, Workspace

pytestmark = pytest.mark.slow

SHOWN = "u22a8.technical-writing"
GUIDE = find_blocks((ROOT / "docs/guides/programs.md").read_text())
SAMPLES, LABELS, SCRIPT, IN_MEMORY, SUBFLOW, SERVED = [block.text for block in GUIDE if block.language == "python"]
NOTEBOOKS = ROOT / "docs/start"
# Of the 4 exemplars of a pole that the workspace's dial asks for.
ATTACHED = 16


def write_program(folder: Path, text: str) -> str:
    file = folder / "program.py"
    file.write_text(text.replace(SHOWN, HANDLE))
    return str(file)


def test_flow_is_called_by_a_script_is_a_step_of_another_flow_and_its_samples_are_loaded(
    prefect_server: str,
    workspace: Workspace,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    workspace.enter(monkeypatch)
    told = []
    for text in (IN_MEMORY, SCRIPT, SUBFLOW, SAMPLES, LABELS):
        runpy.run_path(write_program(tmp_path, text), run_name="__main__")
        told.append(capsys.readouterr().out)
    [folder] = workspace.list_sets()
    [parent] = list_runs(prefect_server, flows={"name": {"any_": ["refresh"]}})
    [child] = list_runs(prefect_server, flow_runs={"parent_flow_run_id": {"any_": [parent["id"]]}})

    assert all(text.startswith(f"{ATTACHED} attached") for text in told[:2])
    assert told[1].endswith(f" {folder}/samples.parquet\n")
    assert [f"{ATTACHED}\n", f"{HANDLE} {ATTACHED} 2\n"] == told[2:4]
    assert told[4].startswith(f"{HANDLE}: 2 labels would be added to {HANDLE}/samples.jsonl\n")
    assert f"{HANDLE}: samples evaluated on frame\n  clarity: attached samples " in told[4]
    assert ("COMPLETED", HANDLE) == (parent["state_type"], child["parameters"]["handle"])


def test_flow_is_served(prefect_server: str, workspace: Workspace, tmp_path: Path) -> None:
    started = workspace.start(
        program=(sys.executable, write_program(tmp_path, SERVED)), PREFECT_API_URL=prefect_server, PYTHONPATH=str(ROOT)
    )
    place = f"{prefect_server}/deployments/name/synthesize/here"
    # Before it asks for runs a signal would end it as any program.
    wait_until(lambda: CLIENT.get(place).json().get("last_polled"), what="it is served", process=started)
    deployment = CLIENT.get(place).json()
    started.send_signal(signal.SIGINT)
    started.communicate()

    assert {"handle": HANDLE, "effort": "low"} == deployment["parameters"]
    assert 0 == started.returncode


async def run_cells(sources: list[str], capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What each cell prints, one after the other in one event loop and among the same names, as in a kernel."""
    names: dict[str, Any] = {"__name__": "__main__"}
    told = []
    for source in sources:
        done = eval(compile(source, "notebook", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), names)
        if inspect.isawaitable(done):
            await done
        told.append(capsys.readouterr().out)
    return told


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("notebook", r"^(\d+) of (\d+) held-out texts right, AUC (\d\.\d\d)$"),
        ("own-texts", r"attached samples (\d\.\d\d) .*; (\d+) of (\d+) real texts on the wrong side$"),
    ],
)
def test_notebook_prints_what_it_shows(
    prefect_server: str,
    workspace: Workspace,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    found: str,
) -> None:
    workspace.model.rename(workspace.model.with_name(SHOWN))
    workspace.enter(monkeypatch)
    monkeypatch.chdir(ROOT)
    # The first cell sets some of them, and takes a temporary folder.
    monkeypatch.setattr(os, "environ", os.environ.copy())
    monkeypatch.setattr(tempfile, "tempdir", str(workspace.folder))
    notebook = nbformat.reads((NOTEBOOKS / f"{name}.ipynb").read_text(), as_version=4)  # type: ignore[no-untyped-call]
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    # In the committed one by the embedded model.
    shown = ["".join(output.get("text", "") for output in cell.outputs) for cell in cells]
    with warnings.catch_warnings():
        told = asyncio.run(run_cells([cell.source for cell in cells], capsys))

    assert [] == [output for cell in cells for output in cell.outputs if output.output_type == "error"]
    assert [bool(text) for text in shown] == [bool(text) for text in told]
    for texts in (shown, told):
        [numbers] = re.findall(found, "\n".join(texts), re.MULTILINE)
        rates, counts = ([number for number in numbers if ("." in number) == is_rate] for is_rate in (True, False))
        assert 0 <= float(rates[0]) <= 1
        assert int(counts[0]) <= int(counts[1])


def list_runs(server: str, **wanted: object) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = CLIENT.post(f"{server}/flow_runs/filter", json=wanted).json()
    return found
