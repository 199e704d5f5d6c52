"""JSON lines: each is one object that says whose it is, the run page has its own all the same, and no key is in any."""

import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from fakes.echo import EchoingProvider, spell
from fakes.provider import Behaviour, serve
from fakes.workspace import HANDLE, Workspace, make_workspace, read_kept, read_rejected

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

KEY = "sk-proj-9f/8Aw+7LmN0pR2tVbY4dC6eG1hJ3kQ5sT8uW0xZ"
COMMAND = (str(Path(sys.executable).with_name("exemplars")), "synthesize", HANDLE, "--effort", "low", "--json")
Line = dict[str, Any]


def run_with_all_lines(workspace: Workspace, server: str) -> tuple[str, str]:
    """What a run with all lines that there are says on both streams."""
    process = workspace.start(
        program=COMMAND, PREFECT_API_URL=server, PREFECT_LOGGING_LEVEL="DEBUG", EXEMPLARS_LOG_FORMAT="json"
    )
    out, err = process.communicate(timeout=300)
    assert 0 == process.returncode, err
    return out, err


def test_every_line_is_an_object_that_says_whose_it_is_and_none_has_a_key(tmp_path: Path, prefect_server: str) -> None:
    with serve(EchoingProvider(Behaviour(unwelcome=0.2, limited=0.1, malformed=0.1), KEY)) as provider:
        workspace = make_workspace(tmp_path, provider, EXEMPLARS_SYNTH_API_KEY=KEY)
        workspace.write_effort(top_up_rounds=10, over_generation=3.0)
        out, err = run_with_all_lines(workspace, prefect_server)
    [folder] = workspace.list_sets()
    kept, rejected, result = read_kept(folder), read_rejected(folder), json.loads(out)
    # One that is no JSON object is an error here.
    lines: list[Line] = [json.loads(line) for line in err.splitlines()]

    def list_of(*loggers: str) -> list[Line]:
        return [line for line in lines if line["logger"] in loggers]

    assert {"run_id", "status", "samples", "report", "findings"} == set(result)
    assert len(lines) > 50
    assert {("time", "level", "logger", "message")} == {tuple(list(line)[:4]) for line in lines}
    assert {"UTC"} == {str(datetime.fromisoformat(line["time"]).tzinfo) for line in lines}
    assert [] == [needle for needle in (KEY[:12], *spell(KEY), json.dumps(KEY)[1:-1]) if needle in err + out]
    assert "[redacted]" in err

    whose = {"run_id": result["run_id"], "handle": HANDLE, "synth_type": "from_traits", "effort": "low"}
    ours = [line for line in lines if line["logger"].startswith("exemplars.")]
    assert [whose] * len(ours) == [{name: line.get(name) for name in whose} for line in ours]
    assert {result["run_id"]} == {line["run_id"] for line in list_of("prefect.task_runs", "prefect.flow_runs")}
    assert [] == [line for line in lines if "flow_run_id" in line]

    # A call that is tried again is found by its cell, and a cell that failed has a warning and a row.
    again = [line for line in list_of("exemplars.calls") if "attempt" in line]
    assert again
    for line in again:
        assert line["error"] in {"RateLimitedError", "ProviderUnavailableError", "RetryableProviderError"}
        assert (1, "openai/test", True) == (line["attempt"], line["model"], line["wait_seconds"] >= 0)
        assert line["call"].startswith(line.get("cell", "subjects"))
        assert line.get("trait", "") == ("" if line["call"] == "subjects" else line["cell"].split("/")[0])
    failed = [(line["level"], line["reason"], line["error"]) for line in list_of("exemplars.cells")]
    assert {("WARNING", "cell_failed", "RequestRefusedError")} == set(failed)
    assert len(failed) == sum(rejected["reason"] == "cell_failed")

    # Rounds, gate and end say their counts; why each text was rejected stands in its row.
    rounds = [line for line in lines if "chosen" in line]
    [gate] = [line["gate"] for line in lines if "gate" in line]
    [written] = [line for line in lines if "rejected_rows" in line]
    [end] = list_of("exemplars.runs")
    assert list(range(1, len(rounds) + 1)) == [line["round"] for line in rounds]
    assert len(rejected) == sum(rounds[-1]["rejected"].values()) == written["rejected_rows"]
    assert (len(kept), "passed", "attached") == (written["kept"], gate, end["outcome"])
    assert end["seconds"] > 0
