"""A locale and a terminal without UTF-8: the same samples come out, and what cannot be printed is escaped."""

import json
import sys
from pathlib import Path

import pytest
from fakes.provider import Provider
from fakes.workspace import HANDLE, Workspace, make_workspace, read_kept

pytestmark = pytest.mark.slow

ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"}
CLI = (sys.executable, "-c", "from flows.cli.app import run; run()")


@pytest.fixture
def foreign(tmp_path: Path, provider: Provider) -> Workspace:
    """A workspace whose model has letters that ASCII lacks, in its labels and its seeds."""
    workspace = make_workspace(tmp_path, provider)
    file = workspace.model / "model.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("Obscure", "Naïve"), encoding="utf-8")
    seeds = workspace.model / "samples.jsonl"
    lines = [json.loads(line) for line in seeds.read_text(encoding="utf-8").splitlines()]
    lines[0]["content"] += " The café stays shut."
    seeds.write_text("\n".join(json.dumps(line, ensure_ascii=False) for line in lines), encoding="utf-8")
    return workspace


def test_run_ends_well_and_prints_escapes(foreign: Workspace, prefect_server: str) -> None:
    words = ("synthesize", HANDLE, "--effort", "low")
    process = foreign.start(*words, program=CLI, PREFECT_API_URL=prefect_server, **ASCII)  # type: ignore[arg-type]
    said, complained = process.communicate(timeout=240)
    [folder] = foreign.list_sets()
    [report] = folder.rglob("report.html")

    assert 0 == process.returncode, complained
    assert "Traceback" not in complained
    assert "Na\\xefve" in said
    assert "Naïve" in report.read_text(encoding="utf-8")
    assert len(read_kept(folder)) > 0


@pytest.mark.parametrize("option", [(), ("--json",)])
def test_dry_run_prints_escapes_and_json_stays_json(foreign: Workspace, option: tuple[str, ...]) -> None:
    process = foreign.start("plan", HANDLE, "--effort", "low", *option, program=CLI, **ASCII)  # type: ignore[arg-type]
    said, complained = process.communicate(timeout=120)

    assert (0, "") == (process.returncode, complained)
    assert "Naïve" in (json.dumps(json.loads(said), ensure_ascii=False) if option else said.replace("\\xef", "ï"))
