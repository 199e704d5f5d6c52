"""The deploy step: what it sets up on a server, once however often it runs, and what becomes of runs that died."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx
import pytest
from fakes.provider import Behaviour, serve_provider
from fakes.site import WRITABLE, Site, find_free_port, list_flow_processes, open_site
from fakes.waiting import wait_until
from fakes.workspace import HANDLE, ROOT, find_gone_process, make_workspace
from prefect.client.orchestration import SyncPrefectClient
from prefect.events.actions import ChangeFlowRunState
from prefect.events.schemas.events import Event, Resource

from flows.deploy.automations import ensure_automation, read_automations
from flows.deploy.unfinished_runs import GONE
from flows.runs.heartbeat import EVENT
from flows.runs.labels import LeaseLabels, read_lease_labels
from flows.runs.lease_holders import name_process

pytestmark = pytest.mark.slow

# Of one model's runs at once all but one would give way.
LIVING = "u22a8.living"
DEPLOYMENTS = (
    "backfill/nightly",
    "backfill/on-demand",
    "catalogue/nightly",
    "prune/nightly",
    "review/on-demand",
    "synthesize/nightly",
    "synthesize/on-demand",
)
NIGHTLY = [name for name in DEPLOYMENTS if name.endswith("/nightly")]
NAMES = sorted(automation.name for automation in read_automations(containers=False))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site whose server is up, with nothing on it."""
    with open_site(make_workspace(tmp_path_factory.mktemp("deployed"))) as opened:
        opened.start_server()
        yield opened


@dataclass(frozen=True)
class Dying:
    """Runs that nobody works on any more, each left in a state, and one of a worker that lives.

    ``said`` is what the deploy step told of the ``left``; ``killed`` was killed with its worker.
    """

    site: Site
    said: str
    deployed_at: datetime
    left: dict[str, str]
    killed: str
    killed_at: datetime
    living: str


@pytest.fixture(scope="module")
def dying(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dying]:
    """On a site of their own, where they are seen to be gone while the other tests go on."""
    with (
        serve_provider(Behaviour(hold_after=4)) as provider,
        # The calls that are held back must not give up while the other tests go on.
        open_site(
            make_workspace(tmp_path_factory.mktemp("dying"), provider, EXEMPLARS_CALL_TIMEOUT_SECONDS="3600")
        ) as site,
    ):
        shutil.copytree(site.workspace.model, site.workspace.model.with_name(LIVING))
        site.start_server()
        left = {state: leave_run(site, state) for state in ("RUNNING", "PENDING", "CANCELLING")}
        said, deployed_at = site.deploy(), datetime.now(UTC)
        site.start_worker("first")
        killed = site.start_run()
        wait_until(lambda: site.read_state(killed)[0] == "RUNNING", 90, "the first run runs")
        site.start_worker("second")
        living = site.start_run(handle=LIVING)
        wait_until(lambda: site.read_state(living)[0] == "RUNNING", 90, "the second run runs")
        doomed = find_process(site, killed)
        site.kill("first")
        os.kill(doomed, signal.SIGKILL)
        yield Dying(site, said, deployed_at, left, killed, datetime.now(UTC), living)


def test_deploy_watches_the_runs_that_it_finds(dying: Dying) -> None:
    assert "watched: 3 unfinished runs" in dying.said


def test_second_deploy_changes_nothing(site: Site) -> None:
    first, before = site.deploy(), describe(site)
    second, after = site.deploy(), describe(site)

    assert [
        f"Prefect {version('prefect')} at {site.url}",
        "  work pool: exemplars (process) made",
        "  queues: interactive, backfill, parts made",
        f"  deployments: {', '.join(DEPLOYMENTS)} made",
        "  forms offer: 1 handle; others can be typed",
        f"  schedules: {', '.join(NIGHTLY)} off (switch them on in the UI)",
        "  automations: 3 made",
        "  alerts of failed nightly runs: off (EXEMPLARS_ALERT_URL is not set)",
    ] == first.splitlines()
    assert first.replace(" made", " there") == second
    assert before == after
    assert NAMES == sorted(name for name, _ in after["automations"])


def test_deploy_makes_again_what_is_gone_and_puts_right_what_differs(site: Site) -> None:
    ensure_deployed(site)
    automations = site.ask("POST", "/automations/filter")
    before = describe(site)
    site.ask("DELETE", "/work_pools/exemplars")
    site.ask("DELETE", f"/automations/{automations[0]['id']}")
    changed = {**automations[1], "enabled": False, "description": "somebody's own words"}
    site.ask("PUT", f"/automations/{changed['id']}", **{name: changed[name] for name in WRITABLE})
    said = site.deploy()

    assert "work pool: exemplars (process) made" in said
    assert "queues: interactive, backfill, parts made" in said
    assert "automations: 1 changed, 1 made, 1 there" in said
    assert [what for _, what in before["automations"]] == [what for _, what in describe(site)["automations"]]
    assert "exemplars" == site.ask("GET", "/deployments/name/synthesize/on-demand")["work_pool_name"]


def test_forms_offer_the_handles_that_there_are_now_and_take_any_other(site: Site) -> None:
    ensure_deployed(site)
    form = site.find_deployment("synthesize/on-demand")
    site.workspace.model.with_name("u22a8.newer").mkdir()
    shutil.copy(site.workspace.model / "model.yaml", site.workspace.model.with_name("u22a8.newer") / "model.yaml")
    said = site.deploy()
    shutil.rmtree(site.workspace.model.with_name("u22a8.newer"))
    offered = [
        site.find_deployment(name)["parameter_openapi_schema"]["properties"]["handle"]["anyOf"][0]["enum"]
        for name in ("synthesize/on-demand", "synthesize/nightly")
    ]
    later = site.start_run(handle="u22a8.later-still")

    assert "forms offer: 2 handles; others can be typed" in said
    assert "; synthesize/nightly, synthesize/on-demand changed" in said
    assert [sorted((HANDLE, "u22a8.newer"))] * 2 == offered
    # The file's own default is no model of this catalogue.
    assert {"synth_type", "effort"} == set(form["parameters"])
    assert "u22a8.later-still" == site.ask("GET", f"/flow_runs/{later}")["parameters"]["handle"]
    site.ask("DELETE", f"/flow_runs/{later}")


def test_deploy_leaves_one_of_two_automations_of_a_name(site: Site) -> None:
    ensure_deployed(site)
    double = site.ask("POST", "/automations/filter")[0]
    site.ask("POST", "/automations/", **{name: double[name] for name in ("name", "trigger", "actions")})
    site.deploy()

    assert NAMES == sorted(found["name"] for found in site.ask("POST", "/automations/filter"))


def test_what_people_have_set_up_stays(site: Site) -> None:
    ensure_deployed(site)
    nightly, paused = site.find_deployment("synthesize/nightly"), site.find_deployment("backfill/on-demand")
    [schedule] = nightly["schedules"]
    own = {
        "schedule": {"cron": "5 4 * * *", "timezone": "Europe/Berlin"},
        "active": True,
        "parameters": {"effort": "low"},
    }
    path = f"/deployments/{nightly['id']}/schedules"
    site.ask("PATCH", f"{path}/{schedule['id']}", **own)
    httpx.post(f"{site.url}{path}", json=[{**own, "schedule": {"interval": 3600}}]).raise_for_status()
    site.ask("POST", f"/deployments/{paused['id']}/pause_deployment")
    site.ask("PATCH", "/work_pools/exemplars/queues/backfill", concurrency_limit=40, priority=2)
    before = describe(site), read_schedules(site)
    said = site.deploy()
    queue = site.ask("GET", "/work_pools/exemplars/queues/backfill")
    after = describe(site), read_schedules(site)
    for name in ("synthesize/nightly", "backfill/on-demand"):
        site.ask("DELETE", f"/deployments/{site.find_deployment(name)['id']}")
    site.ask("DELETE", "/work_pools/exemplars/queues/backfill")

    assert "schedules: synthesize/nightly on; backfill/nightly, catalogue/nightly, prune/nightly off" in said
    assert before == after
    assert 2 == len(after[1])
    assert all(active for _, _, active in after[1])
    assert (40, 2) == (queue["concurrency_limit"], queue["priority"])


def test_two_that_deploy_at_once_to_an_empty_server_leave_one_of_everything(site: Site) -> None:
    for kind, key in (("deployments", "id"), ("automations", "id"), ("work_pools", "name")):
        for found in site.ask("POST", f"/{kind}/filter"):
            site.ask("DELETE", f"/{kind}/{found[key]}")
    command = [sys.executable, "-m", "flows.deploy"]
    both = [subprocess.Popen(command, cwd=ROOT, env=site.variables, stderr=subprocess.PIPE) for _ in range(2)]
    said = [process.communicate(timeout=120)[1].decode() for process in both]
    found = describe(site)

    assert ["", ""] == said
    assert NAMES == sorted(name for name, _ in found["automations"])
    assert len(DEPLOYMENTS) == len(found["deployments"])
    assert 4 == len(found["queues"])


def test_double_that_another_deploy_has_deleted_meanwhile_is_no_failure(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    [wanted, *_] = read_automations(containers=False)
    with SyncPrefectClient(site.url) as client:
        client.create_automation(wanted)
        seen = client.read_automations_by_name(wanted.name)
        client.delete_automation(max(item.id for item in seen))
        monkeypatch.setattr(client, "read_automations_by_name", lambda _: seen)

        assert 2 == len(seen)
        assert "there" == ensure_automation(client, wanted)


def test_server_of_an_older_version_is_brought_up_to_date(site: Site) -> None:
    ensure_deployed(site)
    for found in site.ask("POST", "/deployments/filter"):
        site.ask("DELETE", f"/deployments/{found['id']}")
    for name in ("interactive", "backfill", "parts"):
        site.ask("DELETE", f"/work_pools/exemplars/queues/{name}")
    deployment = make_older_version(site)
    run = site.ask("POST", f"/deployments/{deployment['id']}/create_flow_run", name="of the older version")
    said = site.deploy()
    found, kept = site.find_deployment("synthesize/on-demand"), site.ask("GET", f"/flow_runs/{run['id']}")
    site.ask("DELETE", f"/flow_runs/{run['id']}")

    assert "queues: interactive, backfill, parts made" in said
    assert f"deployments: {', '.join(DEPLOYMENTS[:-1])} made; synthesize/on-demand changed" in said
    assert "automations: 1 changed, 2 there" in said
    assert deployment["id"] == found["id"]
    assert ("flows.synthesize.synthesize", [], "interactive") == (
        found["entrypoint"],
        found["pull_steps"],
        found["work_queue_name"],
    )
    assert ("SCHEDULED", "of the older version") == (kept["state_type"], kept["name"])
    assert NAMES == sorted(name for name, _ in describe(site)["automations"])


def test_queue_that_a_bare_prefect_deploy_has_made_gets_its_limit(site: Site) -> None:
    ensure_deployed(site)
    site.ask("DELETE", "/work_pools/exemplars/queues/backfill")
    site.ask("POST", "/work_pools/exemplars/queues", name="backfill")
    said = site.deploy()
    queue = site.ask("GET", "/work_pools/exemplars/queues/backfill")

    assert "queues: interactive, parts there; backfill changed" in said
    assert (3, 3) == (queue["concurrency_limit"], queue["priority"])


def test_run_that_somebody_waits_for_comes_before_a_backfill_s_however_many_these_are(site: Site) -> None:
    ensure_deployed(site)
    backfill, interactive = (site.find_deployment(f"{name}/on-demand")["id"] for name in ("backfill", "synthesize"))
    asked = [site.ask("POST", f"/deployments/{backfill}/create_flow_run", name=f"{number}") for number in range(8)]
    given = {"name": "waited for", "parameters": {"handle": HANDLE}}
    asked.append(site.ask("POST", f"/deployments/{interactive}/create_flow_run", **given))
    taken = site.ask("POST", "/work_pools/exemplars/get_scheduled_flow_runs")
    for run in asked:
        site.ask("DELETE", f"/flow_runs/{run['id']}")

    assert "waited for" == taken[0]["flow_run"]["name"]
    assert 1 + 3 == len(taken)


def test_backfill_that_is_due_while_the_last_one_runs_is_cancelled_and_not_queued(site: Site) -> None:
    ensure_deployed(site)
    nightly = site.find_deployment("backfill/nightly")["id"]
    runs = [site.ask("POST", f"/deployments/{nightly}/create_flow_run", name="due")["id"] for _ in range(2)]
    for run in runs:
        site.ask("POST", f"/flow_runs/{run}/set_state", state={"type": "PENDING"})
    states = [site.read_state(run) for run in runs]
    for run in runs:
        site.ask("DELETE", f"/flow_runs/{run}")

    assert ["PENDING", "CANCELLED"] == [kind for kind, _ in states]
    assert "Deployment concurrency limit reached." == states[1][1]


def test_pool_of_containers_gets_an_image_and_time_to_pull_it(site: Site) -> None:
    ensure_deployed(site)
    nightly = site.find_deployment("backfill/nightly")
    site.ask("PATCH", f"/deployments/{nightly['id']}/schedules/{nightly['schedules'][0]['id']}", active=True)
    site.ask("DELETE", "/work_pools/exemplars")
    image = {"type": "string", "default": "prefecthq/prefect"}
    variables = {"type": "object", "properties": {"image": image, "env": {"type": "object", "default": {}}}}
    job = {"image": "{{ image }}", "env": "{{ env }}"}
    template = {"job_configuration": job, "variables": variables}
    site.ask("POST", "/work_pools/", name="exemplars", type="docker", base_job_template=template)
    code, refused = run_deploy(site.variables)
    said = site.deploy(EXEMPLARS_IMAGE="registry/exemplars:1")
    given = site.find_deployment("synthesize/on-demand")["job_variables"]
    seconds = {found["trigger"]["within"] for found in site.ask("POST", "/automations/filter")}
    site.ask("DELETE", "/work_pools/exemplars")
    back = site.deploy()
    site.ask("DELETE", f"/deployments/{nightly['id']}")

    assert (3, True) == (code, "Build one from the Dockerfile" in refused and "set EXEMPLARS_IMAGE" in refused)
    assert "work pool: exemplars (docker) there" in said
    # Deployments outlive their pool, and so does what was set up at them.
    assert "schedules: backfill/nightly on; catalogue/nightly, prune/nightly, synthesize/nightly off" in said
    assert ("registry/exemplars:1", "6") == (given["image"], given["env"]["PREFECT_CLIENT_MAX_RETRIES"])
    assert {90, 900, 120} == seconds
    assert "automations: 1 changed, 2 there" in back


def test_pool_of_a_type_that_nothing_is_known_of_is_refused(site: Site) -> None:
    for found in site.ask("POST", "/work_pools/filter"):
        site.ask("DELETE", f"/work_pools/{found['name']}")
    site.ask("POST", "/work_pools/", name="exemplars", type="ecs")
    code, said = run_deploy(site.variables)
    site.ask("DELETE", "/work_pools/exemplars")

    assert 3 == code
    assert (
        "The work pool exemplars has the type ecs, but only process, docker, kubernetes are supported. Delete it"
        in said
    )


def test_deploy_without_a_server_says_what_to_do(site: Site, tmp_path: Path) -> None:
    unset = {name: text for name, text in site.variables.items() if name != "PREFECT_API_URL"}
    gone = {**site.variables, "PREFECT_API_URL": f"http://127.0.0.1:{find_free_port()}/api"}
    unset["PREFECT_HOME"] = str(tmp_path)

    assert (3, "exemplars: no Prefect server is configured. Set PREFECT_API_URL, or run make serve\n") == run_deploy(
        unset
    )
    code, said = run_deploy(gone)
    assert 3 == code
    assert said.startswith(f"exemplars: The Prefect server at {gone['PREFECT_API_URL']} does not answer: ConnectError")


def test_deploy_ends_runs_whose_process_on_this_host_is_gone(site: Site) -> None:
    gone, living, elsewhere = find_gone_process(), name_process(), "elsewhere/1/1"
    marked = {
        ("RUNNING", gone): ("CRASHED", GONE),
        ("CANCELLING", gone): ("CANCELLED", GONE),
        ("PENDING", gone): ("PENDING", ""),
        ("RUNNING", living): ("RUNNING", ""),
        ("RUNNING", elsewhere): ("RUNNING", ""),
    }
    runs = {what: leave_run(site, what[0], what[1]) for what in marked}
    # A heartbeat that another server on the same database has heard, and one that had no time to come.
    heard, young = leave_run(site, "RUNNING", elsewhere), leave_run(site, "RUNNING", elsewhere, ago=timedelta())
    send_heartbeat(site, heard)
    site.ask("POST", "/v2/concurrency_limits/", name="model:u22a8.dead", limit=1)
    lease_id = take_lease(site, "model:u22a8.dead")
    leased = leave_run(site, "RUNNING", gone, lease_id)
    again = leave_run(site, "RUNNING", gone, begun=datetime.now(UTC) - timedelta(hours=1))
    said = site.deploy()
    states = {what: site.read_state(run_id) for what, run_id in runs.items()}
    [mark] = [read_lease_labels(site.ask("GET", f"/flow_runs/{leased}")["labels"])]
    limit = site.ask("GET", "/v2/concurrency_limits/model:u22a8.dead")
    for run_id in (*runs.values(), heard, young, again):
        site.ask("DELETE", f"/flow_runs/{run_id}")

    assert "\n  ended: 3 runs whose process is gone\n  watched: 4 unfinished runs that nothing was heard of\n" in said
    assert marked == {what: (kind, message.replace("None", "")) for what, (kind, message) in states.items()}
    assert mark is not None
    assert ("", 0) == (mark.lease_id, limit["active_slots"])


@pytest.mark.timeout(400)
def test_runs_whose_process_is_gone_are_over_within_two_minutes(dying: Dying) -> None:
    site = dying.site
    outcomes = {"RUNNING": "CRASHED", "PENDING": "CRASHED", "CANCELLING": "CANCELLED"}
    for state, outcome in outcomes.items():
        wait_until(lambda: site.read_state(dying.left[state])[0] == outcome, 140, f"left {state}: {outcome}")  # noqa: B023
    wait_until(lambda: site.read_state(dying.killed)[0] == "CRASHED", 120, "killed with its worker: CRASHED")
    silent = read_moment(site, dying.killed) - dying.killed_at
    took = max(read_moment(site, run_id) for run_id in dying.left.values()) - dying.deployed_at

    assert silent < timedelta(seconds=120)
    assert took < timedelta(seconds=150)
    assert site.read_state(dying.killed)[1].startswith("No heartbeat for 90 s: the run's process is gone")
    for state, automation in zip(("RUNNING", "PENDING", "CANCELLING"), read_automations(containers=False), strict=True):
        [action] = automation.actions
        assert isinstance(action, ChangeFlowRunState)
        assert (action.state.value, action.message) == site.read_state(dying.left[state])
    assert "RUNNING" == site.read_state(dying.living)[0]


def ensure_deployed(site: Site) -> None:
    """The deploy step, where the test before has left something to do."""
    queues = {found["name"] for found in site.ask("POST", "/work_queues/filter")}
    deployments = {found["name"] for found in site.ask("POST", "/deployments/filter") if found["work_pool_name"]}
    if not {"interactive", "backfill", "parts"} <= queues or not {"on-demand", "nightly"} <= deployments:
        site.deploy()


def leave_run(
    site: Site,
    state: str,
    process: str | None = None,
    lease_id: str = "",
    begun: datetime | None = None,
    ago: timedelta = timedelta(minutes=10),
) -> str:
    """A run of the flow in a state, since some time, that no process has put it in, or will take it out of.

    With a ``process`` it is marked with that, as of a lease that was taken when it had ``begun``, now where not given.
    """
    flow = site.ask("POST", "/flows/", name="synthesize")
    run = site.ask("POST", "/flow_runs/", flow_id=flow["id"], name=f"left {state}", state={"type": "SCHEDULED"})
    # A run that never ran is cancelled at once.
    for step in ("RUNNING", "CANCELLING") if state == "CANCELLING" else (state,):
        site.ask("POST", f"/flow_runs/{run['id']}/set_state", state={"type": step}, force=True)
    if process is not None:
        mark = LeaseLabels(lease_id, begun or datetime.now(UTC), process)
        site.ask("PATCH", f"/flow_runs/{run['id']}/labels", **mark.to_labels())
    since = f"{datetime.now(UTC) - ago:%Y-%m-%d %H:%M:%S.%f}"
    with closing(sqlite3.connect(site.workspace.folder / "prefect" / "prefect.db", timeout=60)) as database, database:
        of_state = "id = (SELECT state_id FROM flow_run WHERE id = ?)"
        database.execute(f"UPDATE flow_run_state SET timestamp = ? WHERE {of_state}", (since, run["id"]))
    return str(run["id"])


def send_heartbeat(site: Site, run_id: str) -> None:
    """A heartbeat that the server has written down."""
    of_run = {"prefect.resource.id": f"prefect.flow-run.{run_id}"}
    beat = Event(event=EVENT, resource=Resource(of_run)).model_dump(mode="json")
    httpx.post(f"{site.url}/events", json=[beat]).raise_for_status()
    wanted = {"event": {"name": [EVENT]}, "resource": {"id": list(of_run.values())}}
    wait_until(lambda: site.ask("POST", "/events/filter", filter=wanted)["events"], 30, "it is written down")


def make_older_version(site: Site) -> dict[str, Any]:
    """What the version before work queues has left: a deployment that stands in a folder, a watch of one flow."""
    flow = site.ask("POST", "/flows/", name="synthesize")
    folder = [{"prefect.deployments.steps.set_working_directory": {"directory": "/somewhere/else"}}]
    deployment: dict[str, Any] = site.ask(
        "POST",
        "/deployments/",
        name="on-demand",
        flow_id=flow["id"],
        entrypoint="flows/synthesize.py:synthesize",
        pull_steps=folder,
        work_pool_name="exemplars",
    )
    changed = next(found for found in site.ask("POST", "/automations/filter") if "heartbeats" in found["name"])
    changed["trigger"]["match_related"]["prefect.resource.name"] = "synthesize"
    site.ask("PUT", f"/automations/{changed['id']}", **{name: changed[name] for name in WRITABLE})
    return deployment


def read_schedules(site: Site) -> list[tuple[str, str, bool]]:
    found = site.find_deployment("synthesize/nightly")["schedules"]
    return sorted((repr(item["schedule"]), repr(item["parameters"]), item["active"]) for item in found)


def take_lease(site: Site, name: str) -> str:
    """The id of a lease of the concurrency limit."""
    path, minute = "/v2/concurrency_limits/increment-with-lease", 60
    taken = site.ask("POST", path, names=[name], slots=1, mode="concurrency", lease_duration=minute)
    return str(taken["lease_id"])


def read_moment(site: Site, run_id: str) -> datetime:
    """When a run came to its state, by the server's clock, which is ours."""
    return datetime.fromisoformat(site.ask("GET", f"/flow_runs/{run_id}")["state"]["timestamp"])


def find_process(site: Site, run_id: str) -> int:
    mark = f"PREFECT__FLOW_RUN_ID={run_id}".encode()
    processes = list_flow_processes(site.workspace)
    [found] = [pid for pid in processes if mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")]
    return found


def run_deploy(variables: dict[str, str]) -> tuple[int, str]:
    command = [sys.executable, "-m", "flows.deploy"]
    with subprocess.Popen(
        command, cwd=ROOT, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        told, said = process.communicate()
    assert "" == told
    return process.returncode, said


def describe(site: Site) -> dict[str, list[tuple[str, str]]]:
    """What is on the server, without the times."""
    automations = site.ask("POST", "/automations/filter")
    kept = ("description", "enabled", "actions")
    told = (
        "name",
        "version",
        "paused",
        "parameters",
        "tags",
        "job_variables",
        "work_queue_name",
        "concurrency_options",
    )
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
        "deployments": [
            (found["id"], repr([found[name] for name in told])) for found in site.ask("POST", "/deployments/filter")
        ],
        "queues": [
            (found["id"], repr([found[name] for name in ("name", "priority", "concurrency_limit")]))
            for found in site.ask("POST", "/work_pools/exemplars/queues/filter")
        ],
        "pools": [(found["id"], found["name"]) for found in site.ask("POST", "/work_pools/filter")],
    }
