"""The command ``backfill``: what it begins with, how it follows its models, and how it says to go on."""

import json
import shlex
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from fakes.catalogue import NAMESPACE, make_catalogue
from fakes.commands import Command
from fakes.provider import Behaviour, Provider
from fakes.waiting import wait_until

from engine.backfills.ledger import ModelRow
from engine.backfills.targets import BackfillRequest
from engine.domain.verdict import SkipReason
from engine.estimate.estimate import OTHER_SECONDS
from engine.estimate.speeds import keep_speeds
from engine.settings import read_settings
from flows.backfills.terminal import BackfillEstimate, BackfillProgress, describe_begin, estimate_backfill
from flows.backfills.worker import TELL


@pytest.fixture
def _priced(tmp_path: Path, provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two models of a priced provider, and a third whose definition is broken."""
    workspace = make_catalogue(tmp_path, provider, 2)
    workspace.variables["EXEMPLARS_SYNTH_PRICE"] = "1/2"
    workspace.enter(monkeypatch)
    (broken := workspace.folder / "models" / f"{NAMESPACE}.broken").mkdir()
    (broken / "model.yaml").write_text("traits: 1\n")


def tell(progress: BackfillProgress, *rows: ModelRow) -> None:
    """Tells what the worker of a backfill tells."""
    with progress.showing(live=False):
        for row in rows:
            TELL.get()(row)


def test_models_passed_over_for_one_reason_are_one_line_and_no_rows(capsys: pytest.CaptureFixture[str]) -> None:
    handles = [f"u22a8.{letter}" for letter in "abcde"]
    skipped = {handle: SkipReason("It has a set") for handle in handles}
    told = describe_begin(BackfillEstimate((), skipped, ()), BackfillRequest(namespace="u22a8"))
    progress = BackfillProgress(5, skipped)
    tell(progress, *(ModelRow(handle, "skipped", note="It has a set") for handle in [*handles, "u22a8.f"]))

    assert "\nSkipped: u22a8.a, u22a8.b, u22a8.c and 2 more. It has a set" in told
    assert "u22a8.f: skipped (It has a set)\n" == capsys.readouterr().err


def test_progress_counts_models_and_says_how_long_they_may_take(capsys: pytest.CaptureFixture[str]) -> None:
    progress = BackfillProgress(selected=4)
    begun = progress._begun
    told = [progress.describe(begun)]
    tell(progress, ModelRow("u22a8.a", "runs"), ModelRow("u22a8.b", "runs"))
    told.append(progress.describe(begun + 10))
    tell(progress, ModelRow("u22a8.c", "skipped", note="It has a set"), ModelRow("u22a8.b", "failed"))
    tell(progress, ModelRow("u22a8.a", "attached", 16, 16, seconds=7.0, warnings=2))
    told.append(progress.describe(begun + 30))
    tell(progress, ModelRow("u22a8.d", "failed", 12, 16, seconds=61.0, note="A pole lacks 4"))
    told.append(progress.describe(begun + 40))

    assert [
        "0 of 4 models done",
        "0 of 4 models done, 2 under way",
        "2 of 4 models done, 1 failed, about 15 s left",
        "2 of 4 models done, 2 failed",
    ] == told
    assert (
        "",
        "u22a8.c: skipped (It has a set)\nu22a8.b: failed\nu22a8.a: attached, with 2 warnings, 7 s\n"
        "u22a8.d: failed, 12 of 16 kept, 61 s (A pole lacks 4)\n",
    ) == capsys.readouterr()


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ([], "give handles, a namespace or a glob, or choose only_lacking"),
        (["--namespace", "U22A8"], "fits the namespace 'U22A8'"),
        (["--glob", "u22a8/*"], "fits the glob 'u22a8/*'"),
        (
            ["--namespace", "acme", "--namespace", "globex"],
            "--namespace takes one value, and 2 are given: acme, globex.",
        ),
        (["--only-lacking", "--max-cost-usd", "0"], "'--max-cost-usd': Input should be greater than"),
    ],
)
def test_mistake_is_told_before_anything_starts(run_command: Command, typed: list[str], said: str) -> None:
    ended = run_command("backfill", *typed)

    assert 2 == ended.code
    assert said in ended.message


@pytest.mark.usefixtures("_priced")
def test_begin_tells_models_calls_cost_and_limits(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    request = BackfillRequest(namespace=NAMESPACE, effort="low", models_at_once=3, max_cost_usd=20.0)
    unknown = estimate_backfill(read_settings(), request)
    keep_speeds(read_settings(), {(f"{provider.model}@{provider.url}", "none", False): [3.0] * 8})
    forecast = estimate_backfill(read_settings(), request)
    head, called, estimate, limits = describe_begin(forecast, request).splitlines()
    one, likely = forecast.planned[0].estimate, forecast.total.total.likely

    assert "3 models: from_traits, effort low, 3 at a time" == head
    assert "Models that are called: openai/test" == called
    most = forecast.total.total.most
    assert estimate.startswith(f"Estimate: {likely.calls} calls (at most {most.calls}), about 13 s; ")
    assert estimate.endswith(" (from 2 of 3 models)")
    # Two at a time take as long as one; the time is unknown before the first call to a model.
    assert (None, round(one.seconds or 0.0)) == (unknown.total.seconds, round(forecast.total.seconds or 0.0))
    # A limit on the rate is one for all: as many at a time take no less.
    monkeypatch.setenv("EXEMPLARS_REQUESTS_PER_MINUTE", "60")
    limited = estimate_backfill(read_settings(), request)
    assert OTHER_SECONDS + likely.calls <= (limited.total.seconds or 0.0)
    # The third cannot be read: it calls nothing.
    assert 2 * one.total.likely.calls == likely.calls
    assert "Limits on cost: $1.00 for each model, $20.00 for all together" == limits
    third = replace(request, max_cost_usd=(likely.cost_usd or 0.0) / 3)
    assert describe_begin(forecast, third).endswith(
        " for all together, where it is likely to stop with about 33 % done"
    )


@pytest.mark.slow
@pytest.mark.usefixtures("prefect_server", "heavy_here")
def test_interrupted_command_says_how_many_are_done_and_what_to_type(
    tmp_path: Path, provider: Provider, run_command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = make_catalogue(tmp_path, provider, 2)
    workspace.enter(monkeypatch)
    options = ("--namespace", NAMESPACE, "--effort=low", "--models-at-once", "1", "--json")
    provider.behaviour = Behaviour(hold_after=30)

    def interrupt_twice() -> None:
        wait_until(lambda: workspace.list_sets() and provider.in_flight, what="one is done, the next at work")
        for _ in range(2):
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)

    with ThreadPoolExecutor() as pool:
        interrupting = pool.submit(interrupt_twice)
        code, out, said = run_command("backfill", *options)
        interrupting.result()
    provider.behaviour = Behaviour()
    again = run_command("backfill", *shlex.split(said.rpartition("To resume: exemplars backfill ")[2]))

    assert (130, "") == (code, out)
    assert "\n" + f"{NAMESPACE}." in said
    assert f"1 of 2 models done. To resume: exemplars backfill {shlex.join(options)}\n" in said
    assert "Traceback" not in said
    assert (0, {"attached": 1, "skipped": 1}) == (again.code, json.loads(again.out))
    assert again.err.startswith("2 models, 1 of them with nothing to do: from_traits, effort low, 1 at a time\n")


@pytest.mark.usefixtures("_priced")
def test_plan_of_many_sums_what_a_backfill_of_them_would_make(provider: Provider, run_command: Command) -> None:
    shown = run_command("plan", "--namespace", NAMESPACE, "--effort=low")
    told = json.loads(run_command("plan", "--glob", f"{NAMESPACE}.*", "--effort=low", "--json").out)
    alone = [
        json.loads(run_command("plan", planned["handle"], "--effort=low", "--prompts=0", "--json").out)
        for planned in told["models"]
    ]
    sums = {
        name: sum(planned["estimate"]["total"]["likely"][name] for planned in alone)
        for name in ("calls", "tokens_in", "tokens_out", "cost_usd")
    }

    assert (2, alone, sums) == (len(alone), told["models"], told["total"]["likely"])
    assert [f"{NAMESPACE}.broken"] == list(told["refused"])
    assert 0 == shown.code
    assert f"Estimate: {sums['calls']:,} calls" in shown.out
    assert f"{NAMESPACE}.broken would be refused now: {NAMESPACE}.broken" in shown.out
    assert 0 == provider.calls.total()
