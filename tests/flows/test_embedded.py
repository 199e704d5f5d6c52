"""The whole walk with the embedded model: no key, no provider, real texts."""

import json
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
from fakes.long import LONG, long
from fakes.workspace import ROOT, Workspace, count_poles, make_workspace, read_kept, read_manifest

pytestmark = pytest.mark.slow

MODEL = """
traits:
  - type: spectrum
    key: clarity
    description: Whether a competent reader understands every sentence on the first reading.
    positive_label: Clear
    negative_label: Obscure
    positive_paraphrase: Short, plain sentences that say who does what and are understood at once.
    negative_paraphrase: Long, tangled sentences full of abstract nouns and jargon that hide who does what.
sources:
  - {type: jsonl, path: samples.jsonl, mapping: {clarity: {trait: clarity}}}
"""
LISTENING = "0A"
LOOPBACK = "0100007F"


@dataclass(frozen=True)
class Runs:
    """Runs one after the other, one but with LONG=1, and where the embedded server of the first one listened."""

    workspace: Workspace
    codes: list[int]
    listening: list[str]


@pytest.fixture(scope="module")
def runs(prefect_server: str, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """A model of one trait with the authored seeds of technical writing: two a pole are wanted, then one more."""
    # Any seed will do; with this one a round is enough, which halves the time.
    workspace = make_workspace(tmp_path_factory.mktemp("embedded"), EXEMPLARS_SEED="2")
    (workspace.model / "model.yaml").write_text(MODEL)
    seeds = (ROOT / "data/models/u22a8.technical-writing/samples.jsonl").read_text().splitlines()
    (workspace.model / "samples.jsonl").write_text("\n".join(line for line in seeds if "clarity" in json.loads(line)))
    workspace.write_effort(exemplars_per_pole=2, top_up_rounds=6, over_generation=1.0)
    first = workspace.start(warm=True, PREFECT_API_URL=prefect_server)
    listening = find_listening(workspace, first)
    codes = [finish(first)]
    if LONG:
        workspace.write_effort(exemplars_per_pole=1, top_up_rounds=6, over_generation=1.0)
        codes.append(finish(workspace.start(warm=True, PREFECT_API_URL=prefect_server)))
    return Runs(workspace, codes, listening)


def finish(process: "subprocess.Popen[str]") -> int:
    process.communicate(timeout=240)
    return process.returncode


def find_listening(workspace: Workspace, process: "subprocess.Popen[str]") -> list[str]:
    """The addresses that the embedded server of a run listens on, once it does."""
    while process.poll() is None:
        for number, line in workspace.list_processes().items():
            if "embedded_server.py" in line and (found := list_listening(number)):
                return found
        time.sleep(0.2)
    return []


def list_listening(number: int) -> list[str]:
    """The local addresses, in the kernel's hexadecimal, of the sockets on which a process listens."""
    folder = Path(f"/proc/{number}")
    links = []
    for path in (folder / "fd").iterdir():
        with suppress(OSError):
            links.append(str(path.readlink()))
    rows = [row.split() for name in ("tcp", "tcp6") for row in (folder / "net" / name).read_text().splitlines()[1:]]
    return [row[1].split(":")[0] for row in rows if row[3] == LISTENING and f"socket:[{row[9]}]" in links]


def test_embedded_model_meets_its_quota_exactly(runs: Runs) -> None:
    counts = [count_poles(read_kept(folder)) for folder in runs.workspace.list_sets()]

    assert {0} == {*runs.codes}
    assert [
        {("clarity", "negative"): wanted, ("clarity", "positive"): wanted} for wanted in (2, 1)[: len(runs.codes)]
    ] == counts


def test_embedded_server_listens_on_loopback_only(runs: Runs) -> None:
    assert [LOOPBACK] == runs.listening


@long
def test_second_run_adds_a_second_set(runs: Runs) -> None:
    first, second = runs.workspace.list_sets()
    frame = pd.read_parquet(runs.workspace.samples)

    assert read_manifest(first)["plan_id"] != read_manifest(second)["plan_id"]
    assert 6 == len(frame) == frame["content_sha256"].nunique()
    assert {f"run={run_id}" for run_id in frame["run_id"]} == {first.name, second.name}


def test_every_kept_text_was_judged_and_came_in_a_pair(runs: Runs) -> None:
    frame = pd.read_parquet(runs.workspace.samples)

    assert frame["judge_votes"].notna().all()
    assert {2} == {*frame["pair_id"].value_counts()}


def test_embedded_runs_leave_no_process(runs: Runs) -> None:
    assert {} == runs.workspace.wait_for_no_process(5)
