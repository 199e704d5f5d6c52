"""What outlives a kill of processes: a proposal, replies; and which runs are found to be dead."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from fakes.provider import Behaviour, Provider, serve_provider
from fakes.site import list_flow_processes
from fakes.stack import Stack
from fakes.waiting import wait_until
from fakes.workspace import ROOT, read_manifest

from engine.store.layout import PROPOSED, SAMPLES

ANSWERED = 10
LIVING, LOST, SUSPENDED = "u22a8.living", "u22a8.lost", "u22a8.suspended"
SCRIPT = """
import asyncio, sys
from flows.synthesize import synthesize
print(asyncio.run(synthesize(sys.argv[1], effort="low")).status)
"""


@dataclass(frozen=True)
class Scene:
    """Three runs after a kill: one was suspended, one was lost with its worker, and a script lives on.

    ``answered`` are the prompts whose replies the lost one had, ``slow`` is whom the living one asks.
    """

    suspended: str
    proposal: Path
    lost: str
    answered: set[str]
    living: "subprocess.Popen[str]"
    slow: Provider


@pytest.fixture(scope="session")
def scene(whole_stack: Stack) -> Iterator[Scene]:
    """The other tests go on while nothing is heard of the lost run."""
    stack, provider = whole_stack, whole_stack.provider
    for handle in (LIVING, LOST, SUSPENDED):
        stack.add_model(handle.partition(".")[2])
    with serve_provider(Behaviour(hold_after=0)) as slow:
        variables = {"PYTHONPATH": str(ROOT), "PREFECT_API_URL": stack.site.url, "EXEMPLARS_SYNTH_API_BASE": slow.url}
        living = stack.workspace.start(LIVING, program=(sys.executable, "-c", SCRIPT), **variables)
        provider.behaviour = Behaviour()
        suspended, proposal = stack.suspend(SUSPENDED)
        wait_until(lambda: not list_flow_processes(stack.workspace, suspended), 30, "it holds no process")
        wait_until(lambda: slow.in_flight > 0, what="the script's run is at work", process=living)
        provider.forget()
        provider.behaviour = Behaviour(hold_after=ANSWERED)
        lost = stack.site.start_run(handle=LOST)
        stack.wait_until_held(ANSWERED)
        stack.kill_run(lost, "worker")
        yield Scene(suspended, proposal, lost, set(provider.answers), living, slow)
        living.kill()
        living.communicate()


@pytest.mark.usefixtures("taken_here")
def test_suspended_run_outlives_all_and_goes_on_with_what_a_person_let_stand(stack: Stack, scene: Scene) -> None:
    run_id, folder = scene.suspended, scene.proposal
    proposed = pq.read_table(folder / PROPOSED).to_pylist()
    labels = stack.site.ask("GET", f"/flow_runs/{run_id}")["labels"]
    attached, turned_away = stack.run_here(SUSPENDED), stack.run_here(SUSPENDED, review=True)
    refused = [row["id"] for row in proposed[:2]]
    # A state that somebody sets starts it past its form.
    stack.site.ask("POST", f"/flow_runs/{run_id}/set_state", state={"type": "SCHEDULED"})
    wait_until(lambda: "its set still waits" in stack.read_logs(run_id), 90, "it says that nobody has decided")
    stack.wait_until_suspended(run_id)
    untouched = read_manifest(folder)["status"]
    no_word = [
        stack.site.ask("POST", f"/flow_runs/{run_id}/resume", run_input=form)["status"]
        for form in ({}, {"decision": None}, {"why": "so"}, {"decision": "maybe"})
    ]
    before = stack.list_runs(SUSPENDED)
    stack.resume(run_id, decision="attach", leave_out=refused, why="no", fill=True)
    ended = stack.wait_for_end(run_id)
    wait_until(lambda: len(stack.list_runs(SUSPENDED)) > len(before), 60, "a run is started that fills up")
    ids = [row["id"] for row in pq.read_table(folder / SAMPLES).to_pylist()]

    assert "" == labels["exemplars.lease"]
    assert attached.is_completed()
    assert turned_away.is_cancelled()
    assert run_id in str(turned_away.message)
    assert ("proposed", ["REJECT"] * 4) == (untouched, no_word)
    assert ("COMPLETED", "attached") == (ended[0], read_manifest(folder)["status"]), ended
    assert {row["id"] for row in proposed[2:]} == set(ids)


@pytest.mark.late
def test_run_lost_with_its_worker_is_crashed_and_gone_on_with_and_a_live_one_is_not(stack: Stack, scene: Scene) -> None:
    wait_until(lambda: stack.site.read_state(scene.lost)[0] == "CRASHED", 150, "the lost run is found")
    told = stack.site.read_state(scene.lost)[1]
    [living] = stack.list_runs(LIVING)
    alive = stack.site.read_state(living)[0]
    ended = stack.wait_for_end(stack.site.start_run(handle=LOST))
    scene.slow.behaviour = Behaviour()
    said = scene.living.communicate()[0]

    assert told.startswith("No heartbeat for 90 s: the run's process is gone")
    assert ("RUNNING", "attached\n") == (alive, said)
    assert "COMPLETED" == ended[0], ended
    # What is asked again was in flight.
    assert not scene.answered & set(stack.provider.calls)
