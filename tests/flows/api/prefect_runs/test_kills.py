"""Kills: ``kill -9`` of each part in the middle of a run; the run ends once, and its model is free again.

Each takes a minute and more, with LONG=1; ``tests/stack/test_http.py`` has a short one.
"""

import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator

import pytest
from fakes.door import Served, open_served
from fakes.long import long
from fakes.provider import Behaviour, Provider, serve_provider
from fakes.site import list_flow_processes
from fakes.stage import CONCURRENCY, Client, Stage
from fakes.waiting import wait_until

from engine.store.layout import CARD, MANIFEST, REJECTED, REPORT, SAMPLES, VERDICT
from flows.serve import LEASES

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

# What a dead run's automation may take; without it a model is free within seconds, on a busy machine too.
AUTOMATION_SECONDS, SECONDS = 150.0, 60.0
# What a cancelled run may take until it calls nobody any more (issue 5).
STOP_SECONDS = 60.0


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with serve_provider() as served:
        yield served


@pytest.fixture(scope="module")
def working(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The surface with a worker, and leases in files as ``make serve`` has them."""
    variables = {"PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": LEASES, "EXEMPLARS_CONCURRENCY": str(CONCURRENCY)}
    with open_served(tmp_path_factory.mktemp("kills") / "site", provider, variables) as surface:
        surface.site.start_worker()
        yield surface


@pytest.fixture
def stage(working: Served, provider: Provider, request: pytest.FixtureRequest) -> Iterator[Stage]:
    """A run in mid-generation of a model of its own, watched by a client."""
    handle = f"u22a8.{request.node.name.removeprefix('test_').translate(str.maketrans('_[', '--', ']')).lower()[:50]}"
    model = working.door.workspace.model
    shutil.copytree(model, model.with_name(handle))
    client = Client(working.door.open_client(), handle)
    staged = Stage(working, provider, client)
    thread = threading.Thread(target=client.poll)
    thread.start()
    try:
        staged.begin()
        yield staged
    finally:
        client.stopping.set()
        thread.join()
        staged.go_on()


def check_end(stage: Stage, attached: str) -> None:
    """One set of one run, a model that is free, and nothing left of anybody."""
    workspace = stage.surface.door.workspace
    wait_until(lambda: not list_flow_processes(workspace), 30, "no process of a run is left")

    assert "draft/succeeded" == stage.client.look()
    assert [attached] == stage.list_runs()
    assert [] == [path for path in workspace.list_files() if path.name.startswith(".")]
    assert stage.provider.repeated <= CONCURRENCY


def finish(stage: Stage) -> str:
    """The run that attached: where the one that was asked for is lost, another is, and waited for."""
    if stage.read_state() == "COMPLETED":
        return stage.run_id
    successor = stage.client.synthesize()
    wait_until(lambda: stage.client.last == "busy/running", 90, "the successor runs")
    wait_until(lambda: stage.client.last.startswith(("draft/", "failed/")), 90, "the successor has ended")
    return successor


@long
@pytest.mark.parametrize(
    ("killed", "deploys", "ended"),
    [
        (("door",), False, {"COMPLETED"}),
        (("worker",), False, {"COMPLETED", "CRASHED"}),
        (("worker", "flows"), False, {"CRASHED"}),
        (("worker", "flows"), True, {"CRASHED"}),
        (("door", "server", "worker", "flows"), True, {"CRASHED"}),
    ],
)
def test_part_that_is_killed_leaves_one_set(
    stage: Stage, killed: tuple[str, ...], deploys: bool, ended: set[str]
) -> None:
    stage.kill(*killed)
    if "server" in killed:
        stage.surface.site.start_server()
    if deploys:
        stage.surface.site.deploy()
    if "worker" in killed:
        stage.surface.site.start_worker()
    if "door" in killed:
        stage.start_door()
    stage.go_on()
    stage.wait_until_free(SECONDS if deploys or "flows" not in killed else AUTOMATION_SECONDS)
    state = stage.read_state()
    attached = finish(stage)

    assert state in ended
    check_end(stage, attached)


@long
def test_server_is_killed_and_away_while_the_run_ends(stage: Stage) -> None:
    stage.kill("server")
    stage.go_on()
    wait_until(lambda: stage.provider.in_flight == 0, 60, "all is answered")
    stage.surface.site.start_server()
    stage.wait_until_free(AUTOMATION_SECONDS)

    assert "COMPLETED" == stage.read_state()
    assert {"503 orchestrator_unavailable"} <= {*stage.client.seen}
    check_end(stage, stage.run_id)


@long
def test_server_is_away_for_longer_than_heartbeats_may_be(stage: Stage) -> None:
    stage.kill("server")
    stage.go_on()
    wait_until(lambda: time.monotonic() > stage.killed_at + 110, 120, "the server is away")
    stage.surface.site.start_server()
    stage.wait_until_free(AUTOMATION_SECONDS)
    wait_until(lambda: not list_flow_processes(stage.surface.door.workspace), 120, "the run's process has ended")
    ended, sets = stage.read_state(), stage.list_runs()
    attached = finish(stage)

    assert ("CRASHED", []) == (ended, sets)
    check_end(stage, attached)


def check_retry(stage: Stage) -> None:
    """Retry in the UI: the same run goes on, and its set is the one of a run that nothing ever disturbed.

    Only the account of the calls that broke off, which may have been billed, tells them apart.
    """
    stage.go_on()
    stage.retry()
    check_end(stage, stage.run_id)
    disturbed = stage.read_set()
    stage.forget()
    stage.retry()
    check_end(stage, stage.run_id)
    straight = stage.read_set()
    verdicts = [json.loads(files.pop(VERDICT)) for files in (straight, disturbed)]
    for verdict, files in zip(verdicts, (straight, disturbed), strict=True):
        del verdict["cost"]["possibly_billed"], files[MANIFEST]

    assert {SAMPLES, REJECTED, REPORT, CARD} == straight.keys()
    assert (verdicts[0], straight) == (verdicts[1], disturbed)


@long
@pytest.mark.parametrize("gone", ["", "server", "worker"])
def test_run_that_is_cancelled_in_the_ui_calls_nobody_any_more(stage: Stage, gone: str) -> None:
    if gone:
        stage.kill(gone)
    if gone == "server":
        stage.surface.site.start_server()
    stage.cancel()
    wait_until(lambda: stage.provider.count_connections() == 0, STOP_SECONDS, "its connections are closed")
    stage.wait_until_free(SECONDS)
    ended, sets = stage.read_state(), stage.list_runs()
    if gone == "worker":
        stage.surface.site.start_worker()

    assert ("CANCELLED", []) == (ended, sets)
    check_retry(stage)


@long
@pytest.mark.parametrize("ended", ["FAILED", "CRASHED"])
def test_run_that_did_not_complete_goes_on_when_it_is_retried(stage: Stage, ended: str) -> None:
    if ended == "FAILED":
        stage.provider.behaviour = Behaviour(status=401)
    else:
        stage.kill("flows")
    wait_until(lambda: stage.read_state() == ended, 90, f"it is {ended}")

    check_retry(stage)


@long
def test_run_that_completed_is_retried_and_keeps_its_set(stage: Stage) -> None:
    stage.go_on()
    wait_until(lambda: stage.read_state() == "COMPLETED", 90, "it completes")
    before, calls = stage.read_set(), stage.provider.calls.total()
    stage.retry()
    wait_until(lambda: any("Nothing is asked again" in line for line in stage.read_logs()), 30, "it says so")

    assert (before, calls) == (stage.read_set(), stage.provider.calls.total())
    check_end(stage, stage.run_id)


@long
def test_run_that_was_stopped_for_long_attaches_nothing_when_it_wakes(stage: Stage) -> None:
    site = stage.surface.site
    site.start_worker("second")
    sleeping = list_flow_processes(stage.surface.door.workspace)
    stage.killed_at = time.monotonic()
    for pid in sleeping:
        os.kill(pid, signal.SIGSTOP)
    pressed = site.start_run(handle=stage.client.handle)
    wait_until(lambda: site.read_state(pressed)[0] == "CANCELLED", 90, "the run of the form gives way")
    stage.wait_until_free(AUTOMATION_SECONDS)
    stage.go_on()
    attached = finish(stage)
    for pid in sleeping:
        os.kill(pid, signal.SIGCONT)
    wait_until(lambda: sleeping.keys().isdisjoint(list_flow_processes(stage.surface.door.workspace)), 90, "it ends")

    assert "CRASHED" == stage.read_state()
    check_end(stage, attached)
