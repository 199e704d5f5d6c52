"""JSON lines: each is one object that says whose it is, the run page has its own all the same, and no key is in any."""

import asyncio
import io
import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from fakes.collector import serve_collector
from fakes.database import lay_database
from fakes.echo import EchoingProvider, spell
from fakes.provider import Behaviour, Provider, serve, serve_provider
from fakes.site import open_site
from fakes.waiting import wait_until
from fakes.workspace import HANDLE, Workspace, make_workspace, read_kept, read_rejected

from engine.errors import QuotaError
from flows.observability.json_logs import PREFECT_JSON_VARIABLES, JsonConsole, JsonLines

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

KEY = "sk-proj-9f/8Aw+7LmN0pR2tVbY4dC6eG1hJ3kQ5sT8uW0xZ"
COMMAND = (
    sys.executable,
    "-c",
    "from flows.cli.app import run; run()",
    "synthesize",
    HANDLE,
    "--effort",
    "low",
    "--json",
)
Line = dict[str, Any]


@dataclass(frozen=True)
class Told:
    """What a finished run said, its ``lines`` read as JSON, and what it left."""

    workspace: Workspace
    out: str
    err: str

    @property
    def lines(self) -> list[Line]:
        """Every line of stderr: one that is no JSON object is an error here."""
        return [json.loads(line) for line in self.err.splitlines()]

    def of(self, logger: str) -> list[Line]:
        """The lines of one logger."""
        return [line for line in self.lines if line["logger"] == logger]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    """A run with all lines that there are, of a provider that tells its key to everybody."""
    folder = tmp_path_factory.mktemp("told")
    behaviour = Behaviour(unwelcome=0.2, limited=0.1, malformed=0.1)
    with serve(EchoingProvider(behaviour, KEY)) as provider, serve_collector() as collector:
        workspace = make_workspace(folder / "workspace", provider, EXEMPLARS_SYNTH_API_KEY=KEY)
        workspace.write_effort(top_up_rounds=10, over_generation=3.0)
        lay_database(folder / "prefect")
        process = workspace.start(
            program=COMMAND,
            PREFECT_HOME=str(folder / "prefect"),
            PREFECT_LOGGING_LEVEL="DEBUG",
            EXEMPLARS_LOG_FORMAT="json",
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
            OTEL_EXPORTER_OTLP_HEADERS=f"authorization=Bearer {KEY}",
        )
        out, err = process.communicate(timeout=300)
        assert 0 == process.returncode, err
        assert "" == "".join(f"{point}" for point in collector.points if KEY in f"{point}")
        yield Told(workspace, out, err)


def test_every_line_is_one_object_with_time_level_logger_and_message(told: Told) -> None:
    heads = [list(line)[:4] for line in told.lines]

    assert len(heads) > 50
    assert [["time", "level", "logger", "message"]] * len(heads) == heads
    assert {"UTC"} == {str(datetime.fromisoformat(line["time"]).tzinfo) for line in told.lines}


def test_result_stays_the_one_line_of_stdout(told: Told) -> None:
    assert {"run_id", "status", "samples", "report"} == set(json.loads(told.out))


def test_lines_of_the_run_say_which_run_and_model(told: Told) -> None:
    run_id = json.loads(told.out)["run_id"]
    ours = [line for line in told.lines if line["logger"].startswith("exemplars.")]
    prefects = told.of("prefect.task_runs") + told.of("prefect.flow_runs")

    expected = {"run_id": run_id, "handle": HANDLE, "synth_type": "from_traits", "effort": "low"}
    assert [expected] * len(ours) == [{name: line.get(name) for name in expected} for line in ours]
    assert {run_id} == {line["run_id"] for line in prefects}
    assert [] == [line for line in told.lines if "flow_run_id" in line]


def test_call_that_is_tried_again_is_found_by_its_cell(told: Told) -> None:
    again = [line for line in told.of("exemplars.calls") if "attempt" in line]

    assert again
    for line in again:
        assert line["error"] in {"RateLimitedError", "ProviderUnavailableError", "RetryableProviderError"}
        assert (1, "openai/test") == (line["attempt"], line["model"])
        assert line["wait_seconds"] >= 0
        assert line["call"].startswith(line.get("cell", "subjects"))
        assert line.get("trait", "") == ("" if line["call"] == "subjects" else line["cell"].split("/")[0])


def test_cell_that_failed_has_a_warning_and_a_row(told: Told) -> None:
    [folder] = told.workspace.list_sets()
    rows = read_rejected(folder)
    failed = told.of("exemplars.cells")

    assert 0 < len(failed) == sum(rows["reason"] == "cell_failed")
    assert {"WARNING"} == {line["level"] for line in failed}
    assert {("cell_failed", "RequestRefusedError")} == {(line["reason"], line["error"]) for line in failed}


def test_each_rejection_of_a_round_has_a_line_at_debug(told: Told) -> None:
    [folder] = told.workspace.list_sets()
    found = {(line["trait"], line["pole"], line["reason"]) for line in told.of("exemplars.rejections")}
    rows = read_rejected(folder)

    assert {"DEBUG"} == {line["level"] for line in told.of("exemplars.rejections")}
    assert set(zip(rows["trait"], rows["pole"], rows["reason"], strict=True)) <= found | {
        (trait, pole, "surplus") for trait, pole, _ in found
    }


def test_round_gate_and_end_say_their_counts_in_fields(told: Told) -> None:
    [folder] = told.workspace.list_sets()
    rounds = [line for line in told.lines if "chosen" in line]
    [gate] = [line["gate"] for line in told.lines if "gate" in line]
    [written] = [line for line in told.lines if "rejected_rows" in line]
    [end] = told.of("exemplars.runs")

    assert list(range(1, len(rounds) + 1)) == [line["round"] for line in rounds]
    assert len(read_rejected(folder)) == sum(rounds[-1]["rejected"].values()) == written["rejected_rows"]
    assert len(read_kept(folder)) == written["kept"]
    assert ("passed", "attached") == (gate, end["outcome"])
    assert end["seconds"] > 0


def test_no_key_is_in_any_line(told: Told) -> None:
    needles = (KEY[:12], *spell(KEY), json.dumps(KEY)[1:-1])

    assert [] == [needle for needle in needles if needle in told.err + told.out]
    assert "[redacted]" in told.err


def test_worker_speaks_json_from_its_first_line_and_the_run_page_has_text(tmp_path: Path, provider: Provider) -> None:
    workspace = make_workspace(tmp_path / "site", provider, EXEMPLARS_LOG_FORMAT="json", **PREFECT_JSON_VARIABLES)
    with open_site(workspace) as site:
        site.start_deployed()
        site.start_worker()
        run_id = site.start_run()
        wait_until(lambda: site.read_state(run_id)[0] in ("COMPLETED", "FAILED", "CRASHED"), 180, "it has ended")
        log = (workspace.folder / "worker.log").read_text().splitlines()
        found = {"flow_run_id": {"any_": [run_id]}}
        wait_until(lambda: "16 attached" in json.dumps(site.ask("POST", "/logs/filter", logs=found)), 30, "logged")
        page = [line["message"] for line in site.ask("POST", "/logs/filter", logs=found)]

    plain = [line for line in log if not line.startswith("{")]
    assert [] == [line for line in plain if line and not line.startswith(("Discovered type", "Worker "))]
    assert any(json.loads(line).get("gate") == "passed" for line in log if line.startswith("{"))
    assert any(line.startswith("16 attached") for line in page)
    assert [] == [line for line in page if line.startswith("{")]


def test_two_runs_of_one_process_keep_their_lines_apart(tmp_path: Path, prefect_server: str) -> None:
    from flows.synthesize import synthesize

    with serve_provider(Behaviour(limited=0.3, unwelcome=0.05, seconds=0.05)) as provider, listen() as stream:
        workspace = make_workspace(tmp_path / "both", provider)
        other = workspace.model.with_name("u22a8.other")
        other.mkdir()
        for path in workspace.model.iterdir():
            (other / path.name).write_bytes(path.read_bytes())
        with pytest.MonkeyPatch.context() as patch:
            workspace.enter(patch)
            handles = (HANDLE, "u22a8.other")

            async def run_both() -> list[Any]:
                runs = [synthesize(handle=handle, effort="low") for handle in handles]
                return list(await asyncio.gather(*runs))

            results = asyncio.run(run_both())
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    ours = [line for line in lines if line["logger"].startswith("exemplars.")]
    runs = dict(zip((result.run_id for result in results), handles, strict=True))

    assert set(handles) == {line["handle"] for line in ours}
    assert [] == [line for line in lines if "handle" in line and runs[line["run_id"]] != line["handle"]]
    assert [] == [line for line in ours if line["logger"] == "exemplars.runs" and "cell" in line]


@contextmanager
def listen() -> Iterator[io.StringIO]:
    """What the loggers of runs say inside the block, as JSON lines."""
    stream = io.StringIO()
    handler = JsonConsole(stream)
    loggers = [logging.getLogger(name) for name in ("exemplars", "prefect.task_runs", "prefect.flow_runs")]
    for logger in loggers:
        logger.addHandler(handler)
    try:
        yield stream
    finally:
        for logger in loggers:
            logger.removeHandler(handler)


def test_run_that_fails_ends_with_a_line_that_says_how(
    prefect_server: str, workspace: Workspace, provider: Provider
) -> None:
    provider.behaviour = Behaviour(style="same")
    workspace.write_effort(exemplars_per_pole=2, top_up_rounds=1)
    with listen() as stream, pytest.raises(QuotaError):
        workspace.run()
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    [end] = [line for line in lines if line["logger"] == "exemplars.runs"]

    assert ("rejected", "QuotaError") == (end["outcome"], end["error"])


def test_line_breaks_emoji_names_and_what_is_no_json_stay_one_object() -> None:
    record = logging.LogRecord("x", logging.INFO, "x.py", 1, "two\nlines :warning: [bold] %s", ("é",), None)
    record.cell, record.odd = "a/0", object()
    line = JsonLines().format(record)

    assert 1 == len(line.splitlines())
    assert ("two\nlines :warning: [bold] é", "a/0") == (json.loads(line)["message"], json.loads(line)["cell"])


def test_console_keeps_its_form_whatever_prefect_configures() -> None:
    console = JsonConsole(io.StringIO(), "WARNING", styles={"log.info_level": "cyan"})
    console.setFormatter(logging.Formatter("%(message)s"))

    assert isinstance(console.formatter, JsonLines)
    assert logging.WARNING == console.level
