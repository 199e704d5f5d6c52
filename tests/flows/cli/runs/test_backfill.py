"""The command ``backfill``: what it begins with, how it follows its models, and how it says to go on."""

import json
import logging
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from fakes.catalogue import NAMESPACE, make_catalogue
from fakes.provider import Behaviour, Provider
from fakes.waiting import wait_until
from fakes.workspace import Workspace

from engine.domain.progress import PROGRESS_LOGGER, CallEnded, CallsPlanned, Event
from engine.run.backfill_targets import BackfillRequest
from engine.settings import read_settings
from engine.store.backfill_ledger import ModelRow
from flows.backfills.worker import MODELS_LOGGER
from flows.cli.app import main
from flows.cli.runs.backfill import describe_begin, look_ahead
from flows.cli.runs.backfill_progress import BackfillProgress, describe_row, format_seconds

CLI = (sys.executable, "-c", "from flows.cli.app import run; run()", "backfill")


def tell(progress: BackfillProgress, *events: ModelRow | Event) -> None:
    """Has the loggers say what the worker and the runs of a backfill say."""
    with progress.showing(live=False):
        for event in events:
            name = MODELS_LOGGER if isinstance(event, ModelRow) else PROGRESS_LOGGER
            logging.getLogger(name).debug("", extra={"event": event})


def test_progress_counts_models_and_calls(capsys: pytest.CaptureFixture[str]) -> None:
    progress = BackfillProgress(selected=4, expected_calls=40)
    before = progress.describe(0.0)
    tell(progress, ModelRow("u22a8.a", "runs"), ModelRow("u22a8.b", "runs"), CallsPlanned(20), CallEnded())
    tell(progress, CallEnded(failed=True), ModelRow("u22a8.c", "skipped", note="It has a set"))
    under_way = progress.describe(0.0)
    tell(progress, ModelRow("u22a8.a", "attached", 16, 16, seconds=7.0, warnings=2), ModelRow("u22a8.b", "failed"))
    said = capsys.readouterr()

    assert "0 of 4 models done, starting" == before
    assert under_way.startswith("1 of 4 models done, 2 under way, 2 of about 40 calls (1 failed), about ")
    assert "2 of 4 models done, 1 failed" == progress.describe_models()
    assert ("", "u22a8.c: skipped (It has a set)\nu22a8.a: attached, with 2 warnings, 7 s\nu22a8.b: failed\n") == (
        said.out,
        said.err,
    )


def test_time_left_is_by_calls_and_by_models_at_the_end() -> None:
    progress = BackfillProgress(selected=2, expected_calls=8)
    tell(progress, ModelRow("u22a8.a", "runs"), CallEnded(), CallEnded())
    begun = progress._begun
    assert begun is not None
    by_calls = progress.describe(begun + 10)
    tell(progress, ModelRow("u22a8.a", "failed"))
    by_models = progress.describe(begun + 10)
    tell(progress, ModelRow("u22a8.b", "failed"))

    assert by_calls.endswith("2 of about 8 calls, about 30 s left")
    assert by_models.endswith("about 10 s left")
    assert progress.describe(begun + 10).endswith("2 of about 8 calls")


def test_model_that_kept_too_few_says_how_many() -> None:
    row = ModelRow("u22a8.a", "failed", 12, 16, seconds=61.0, note="A pole lacks 4")

    assert "u22a8.a: failed, 12 of 16 kept, 61 s (A pole lacks 4)" == describe_row(row)


@pytest.mark.parametrize(
    ("seconds", "said"), [(0, "0 s"), (89.4, "89 s"), (90, "2 min"), (3570, "1 h 0 min"), (7500, "2 h 5 min")]
)
def test_long_times_are_short_words(seconds: float, said: str) -> None:
    assert said == format_seconds(seconds)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ([], "give handles, --namespace or --glob, or --only-lacking for"),
        (["--namespace", "U22A8"], "--namespace is 'U22A8'; allowed: a namespace, such as u22a8"),
        (["--glob", "u22a8/*"], "--glob is 'u22a8/*'; allowed: a pattern of handles, such as 'u22a8.*-report'"),
        *(
            (["--only-lacking", "--max-cost-usd", value], f"--max-cost-usd is {shown}; allowed: more than 0 US dollars")
            for value, shown in (("0", "0.0"), ("-1", "-1.0"), ("nan", "nan"), ("inf", "inf"), ("1e400", "inf"))
        ),
        (["--only-lacking", "--models-at-once", "0"], "'--models-at-once': Input should be greater than or equal to 1"),
    ],
)
def test_mistake_names_the_option_as_it_is_typed(
    capsys: pytest.CaptureFixture[str], typed: list[str], said: str
) -> None:
    terminate = signal.getsignal(signal.SIGTERM)
    code = main(["backfill", *typed])
    signal.signal(signal.SIGTERM, terminate)
    told = capsys.readouterr()

    assert (2, "") == (code, told.out)
    assert said in told.err
    assert "_" not in told.err


def test_begin_tells_models_calls_cost_and_limits(
    tmp_path: Path, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = make_catalogue(tmp_path, provider, 7)
    workspace.variables["EXEMPLARS_SYNTH_PRICE"] = "1/2"
    workspace.enter(monkeypatch)
    (workspace.folder / "models" / f"{NAMESPACE}.broken").mkdir()
    (workspace.folder / "models" / f"{NAMESPACE}.broken" / "model.yaml").write_text("traits: 1\n")
    request = BackfillRequest(namespace=NAMESPACE, effort="low")
    outlook = look_ahead(read_settings(), request)
    head, estimate, limits = describe_begin(outlook, request, 3, 20.0).splitlines()

    assert "8 models: from_traits, effort low, 3 at a time" == head
    assert estimate.startswith(f"Estimate: about {outlook.calls} calls to openai/test, likely $0.")
    assert estimate.endswith(f"(by {len(outlook.estimates)} of the 8 models)")
    assert outlook.calls == round(8 * outlook.estimates[0].total.likely.calls)
    assert "Limits on cost: $1.00 for each model, $20.00 for all together" == limits


@pytest.mark.slow
def test_interrupted_command_says_how_many_are_done_and_what_to_type(
    prefect_server: str, tmp_path: Path, provider: Provider
) -> None:
    workspace = make_catalogue(tmp_path, provider, 3)
    options = ("--namespace", NAMESPACE, "--effort=low", "--models-at-once", "1", "--json")
    provider.behaviour = Behaviour(hold_after=30)
    started = start(workspace, prefect_server, *options)
    wait_until(lambda: workspace.list_sets() and provider.in_flight, 120, "one is done, the next at work")
    os.killpg(started.pid, signal.SIGTERM)
    os.killpg(started.pid, signal.SIGTERM)
    out, said = started.communicate(timeout=120)
    provider.behaviour = Behaviour()
    again = start(workspace, prefect_server, *shlex.split(said.rpartition("To go on: exemplars backfill ")[2]))
    counts, after = again.communicate(timeout=240)

    assert (130, "") == (started.returncode, out)
    assert "\n" + f"{NAMESPACE}." in said
    assert f"1 of 3 models done. To go on: exemplars backfill {shlex.join(options)}\n" in said
    assert "Traceback" not in said
    assert (0, {"attached": 2, "skipped": 1}) == (again.returncode, json.loads(counts))
    assert after.startswith("3 models, 1 of them with nothing to do: from_traits, effort low, 1 at a time\n")


def start(workspace: Workspace, server: str, *options: str) -> "subprocess.Popen[str]":
    return workspace.start(*options, program=CLI, warm=True, PREFECT_API_URL=server)
