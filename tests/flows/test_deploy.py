"""The deploy step: what it sets up on a server, once however often it runs, and what becomes of runs that died."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fakes.provider import Behaviour, Provider
from fakes.site import Site, find_free_port, list_flow_processes, open_site, wait_until
from fakes.workspace import ROOT, find_gone_process, make_workspace

from flows.automations import WATCHES
from flows.marks import Mark, name_process, read_mark
from flows.unfinished import GONE

pytestmark = pytest.mark.slow

# Of one model's runs at once all but one would give way.
LIVING = "u22a8.living"
NAMES = sorted(watch.name for watch in WATCHES)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site whose server is up, with nothing on it."""
    with open_site(make_workspace(tmp_path_factory.mktemp("deployed"))) as opened:
        opened.start_server()
        yield opened


def test_second_deploy_changes_nothing(site: Site) -> None:
    first, before = site.deploy(), describe(site)
    second, after = site.deploy(), describe(site)

    assert "work pool exemplars made" in first
    assert "automations 3 made" in first
    assert "synthesize/on-demand" in first
    assert "work pool exemplars there" in second
    assert "automations 3 there" in second
    assert before == after
    assert NAMES == sorted(name for name, _ in after["automations"])


def test_deploy_makes_again_what_is_gone_and_puts_right_what_differs(site: Site) -> None:
    site.deploy()
    automations = site.ask("POST", "/automations/filter")
    before = describe(site)
    site.ask("DELETE", "/work_pools/exemplars")
    site.ask("DELETE", f"/automations/{automations[0]['id']}")
    changed = {**automations[1], "enabled": False, "description": "somebody's own words"}
    writable = ("name", "description", "enabled", "trigger", "actions", "actions_on_trigger", "actions_on_resolve")
    site.ask("PUT", f"/automations/{changed['id']}", **{name: changed[name] for name in writable})
    said = site.deploy()

    assert "work pool exemplars made" in said
    assert "automations 1 changed, 1 made, 1 there" in said
    assert [what for _, what in before["automations"]] == [what for _, what in describe(site)["automations"]]
    assert "exemplars" == site.ask("GET", "/deployments/name/synthesize/on-demand")["work_pool_name"]


def test_deploy_leaves_one_of_two_automations_of_a_name(site: Site) -> None:
    site.deploy()
    double = site.ask("POST", "/automations/filter")[0]
    site.ask("POST", "/automations/", **{name: double[name] for name in ("name", "trigger", "actions")})
    site.deploy()

    assert NAMES == sorted(found["name"] for found in site.ask("POST", "/automations/filter"))


def test_pool_of_another_type_is_refused(site: Site) -> None:
    site.deploy()
    site.ask("DELETE", "/work_pools/exemplars")
    site.ask("POST", "/work_pools/", name="exemplars", type="docker")
    code, said = run_deploy(site.variables)
    site.ask("DELETE", "/work_pools/exemplars")

    assert 3 == code
    assert "exemplars: The work pool exemplars is of the type docker, not process. Delete it" in said


def test_deploy_without_a_server_says_what_to_do(site: Site, tmp_path: Path) -> None:
    unset = {name: text for name, text in site.variables.items() if name != "PREFECT_API_URL"}
    gone = {**site.variables, "PREFECT_API_URL": f"http://127.0.0.1:{find_free_port()}/api"}
    unset["PREFECT_HOME"] = str(tmp_path)

    assert (3, "exemplars: no Prefect server is configured. Set PREFECT_API_URL, or type make serve\n") == run_deploy(
        unset
    )
    code, said = run_deploy(gone)
    assert 3 == code
    assert said.startswith(f"exemplars: The Prefect server at {gone['PREFECT_API_URL']} does not answer as it should: ")


def test_deploy_ends_runs_whose_process_on_this_host_is_gone(site: Site) -> None:
    site.deploy()
    gone, living, elsewhere = find_gone_process(), name_process(), "elsewhere/1/1"
    marked = {
        ("RUNNING", gone): ("CRASHED", GONE),
        ("CANCELLING", gone): ("CANCELLED", GONE),
        ("PENDING", gone): ("PENDING", ""),
        ("RUNNING", living): ("RUNNING", ""),
        ("RUNNING", elsewhere): ("RUNNING", ""),
    }
    runs = {what: leave_run(site, what[0], what[1]) for what in marked}
    site.ask("POST", "/v2/concurrency_limits/", name="model:u22a8.dead", limit=1)
    lease_id = take_lease(site, "model:u22a8.dead")
    leased = leave_run(site, "RUNNING", gone, lease_id)
    again = leave_run(site, "RUNNING", gone, begun=datetime.now(UTC) - timedelta(minutes=1))
    said = site.deploy()
    states = {what: site.read_state(run_id) for what, run_id in runs.items()}
    [mark] = [read_mark(site.ask("GET", f"/flow_runs/{leased}")["labels"])]
    limit = site.ask("GET", "/v2/concurrency_limits/model:u22a8.dead")
    for run_id in (*runs.values(), again):
        site.ask("DELETE", f"/flow_runs/{run_id}")

    assert "; 3 runs whose process is gone were ended; 4 unfinished runs are watched" in said
    assert marked == {what: (kind, message.replace("None", "")) for what, (kind, message) in states.items()}
    assert mark is not None
    assert ("", 0) == (mark.lease_id, limit["active_slots"])


@pytest.mark.timeout(400)
def test_runs_whose_process_is_gone_are_over_within_two_minutes(tmp_path: Path, provider: Provider) -> None:
    provider.behaviour = Behaviour(hold_after=4)
    with open_site(make_workspace(tmp_path, provider)) as site:
        shutil.copytree(site.workspace.model, site.workspace.model.with_name(LIVING))
        site.start_server()
        left = {state: leave_run(site, state) for state in ("RUNNING", "PENDING", "CANCELLING")}
        said, deployed_at = site.deploy(), time.monotonic()
        site.start_worker("first")
        killed = site.start_run()
        wait_until(lambda: site.read_state(killed)[0] == "RUNNING", 90, "the first run runs")
        site.start_worker("second")
        living = site.start_run(handle=LIVING)
        wait_until(lambda: site.read_state(living)[0] == "RUNNING", 90, "the second run runs")
        doomed = find_process(site, killed)
        site.kill("first")
        os.kill(doomed, signal.SIGKILL)
        killed_at = time.monotonic()
        wait_until(lambda: site.read_state(killed)[0] == "CRASHED", 120, "killed with its worker: CRASHED")
        silent = time.monotonic() - killed_at
        outcomes = {"RUNNING": "CRASHED", "PENDING": "CRASHED", "CANCELLING": "CANCELLED"}
        for state, outcome in outcomes.items():
            wait_until(lambda: site.read_state(left[state])[0] == outcome, 140, f"left {state}: {outcome}")  # noqa: B023
        took = time.monotonic() - deployed_at

        assert "3 unfinished runs are watched" in said
        assert silent < 120
        assert took < 150
        assert site.read_state(killed)[1].startswith("No heartbeat for 90 s: the run's process is gone")
        for watch in WATCHES:
            assert (watch.outcome.value, watch.message) == site.read_state(left[watch.state.value])
        assert "RUNNING" == site.read_state(living)[0]


def leave_run(
    site: Site, state: str, process: str | None = None, lease_id: str = "", begun: datetime | None = None
) -> str:
    """A run of the flow in a state that no process has put it in, or will take it out of.

    With a ``process`` it is marked with that, as of a lease that was taken when it had ``begun``, now where not given.
    """
    flow = site.ask("POST", "/flows/", name="synthesize")
    run = site.ask("POST", "/flow_runs/", flow_id=flow["id"], name=f"left {state}", state={"type": "SCHEDULED"})
    # A run that never ran is cancelled at once.
    for step in ("RUNNING", "CANCELLING") if state == "CANCELLING" else (state,):
        site.ask("POST", f"/flow_runs/{run['id']}/set_state", state={"type": step}, force=True)
    if process is not None:
        mark = Mark(lease_id, begun or datetime.now(UTC), process)
        site.ask("PATCH", f"/flow_runs/{run['id']}/labels", **mark.to_labels())
    return str(run["id"])


def take_lease(site: Site, name: str) -> str:
    """The id of a lease of the concurrency limit."""
    path, minute = "/v2/concurrency_limits/increment-with-lease", 60
    taken = site.ask("POST", path, names=[name], slots=1, mode="concurrency", lease_duration=minute)
    return str(taken["lease_id"])


def find_process(site: Site, run_id: str) -> int:
    mark = f"PREFECT__FLOW_RUN_ID={run_id}".encode()
    processes = list_flow_processes(site.workspace)
    [found] = [pid for pid in processes if mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")]
    return found


def run_deploy(variables: dict[str, str]) -> tuple[int, str]:
    command = [sys.executable, "-m", "flows.deploy"]
    ended = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, check=False)
    assert "" == ended.stdout
    return ended.returncode, ended.stderr


def describe(site: Site) -> dict[str, list[tuple[str, str]]]:
    """What is on the server, without the times."""
    automations = site.ask("POST", "/automations/filter")
    kept = ("description", "enabled", "actions")
    triggers = ("posture", "match", "match_related", "for_each", "threshold", "within")
    return {
        "automations": sorted(
            (
                found["name"],
                repr([found[name] for name in kept])
                + repr([found["trigger"][name] for name in triggers])
                + repr([sorted(found["trigger"][name]) for name in ("after", "expect")]),
            )
            for found in automations
        ),
        "deployments": [(found["id"], found["name"]) for found in site.ask("POST", "/deployments/filter")],
        "pools": [(found["id"], found["name"]) for found in site.ask("POST", "/work_pools/filter")],
    }
