"""The deploy step: what it makes, puts right and leaves on a server, and what becomes of runs that died.

``tests/stack/test_deploy.py`` has it as a program, twice.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from fakes.ports import find_free_port
from fakes.receiver import open_receiver
from fakes.site import ask_server
from fakes.stack import ENDED
from fakes.waiting import wait_until
from fakes.workspace import Workspace, find_gone_process, make_workspace
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterName
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState
from prefect.events.schemas.automations import AutomationCore, EventTrigger
from prefect.events.schemas.events import Event, RelatedResource, Resource
from prefect.settings import PREFECT_API_URL, temporary_settings

from engine.errors import OrchestratorError
from engine.settings import read_settings
from flows.deploy.__main__ import check_server, deploy, main
from flows.deploy.automations import read_automations
from flows.deploy.deployments import FORM, find_deployments
from flows.deploy.unfinished_runs import GONE, UNFINISHED, end_gone_runs, watch_run
from flows.deploy.work_pool import POOL
from flows.run.labels import LeaseLabels, read_lease_labels
from flows.run.lease.holders import name_process
from flows.run.run_events import HEARTBEAT, name_resources

NAMES = (
    "backfill/nightly",
    "backfill/on-demand",
    "batches/collect",
    "catalogue/nightly",
    "prune/nightly",
    "review/on-demand",
    "synthesize/nightly",
    "synthesize/on-demand",
)
WATCHES = read_automations(containers=False)
# The name of a run that no process works on.
LEFT = "left"
IMAGE = "registry/exemplars:1"


@pytest.fixture
def client(prefect_server: str) -> Iterator[SyncPrefectClient]:
    """A client of the server, on which nothing is set up, before and afterwards."""
    with temporary_settings({PREFECT_API_URL: prefect_server}), get_client(sync_client=True) as opened:
        clear(opened)
        yield opened
        clear(opened)


def clear(client: SyncPrefectClient) -> None:
    for run in client.read_flow_runs(flow_run_filter=FlowRunFilter(name=FlowRunFilterName(any_=[LEFT]))):
        client.delete_flow_run(run.id)
    for found in client.read_deployments():
        client.delete_deployment(found.id)
    for automation in client.read_automations():
        client.delete_automation(automation.id)
    for pool in client.read_work_pools():
        client.delete_work_pool(pool.name)


def ask(client: SyncPrefectClient, method: str, path: str, **fields: object) -> Any:
    return ask_server(str(client.api_url).rstrip("/"), method, path, **fields)


def make_container_pool(client: SyncPrefectClient, kind: str = "docker") -> None:
    image = {"type": "string", "default": "prefecthq/prefect"}
    variables = {"type": "object", "properties": {"image": image, "env": {"type": "object", "default": {}}}}
    job = {"image": "{{ image }}", "env": "{{ env }}"}
    template = {"job_configuration": job, "variables": variables}
    ask(client, "POST", "/work_pools/", name=POOL, type=kind, base_job_template=template)


def make_deployment(client: SyncPrefectClient, name: str, **fields: object) -> str:
    """The id of a deployment as somebody else has left it."""
    flow, _, own = name.partition("/")
    flow_id = ask(client, "POST", "/flows/", name=flow)["id"]
    return str(ask(client, "POST", "/deployments/", name=own, flow_id=flow_id, **fields)["id"])


@pytest.mark.timeout(400)
def test_deploy_makes_what_is_missing_puts_right_what_differs_and_leaves_what_people_have_set_up(
    client: SyncPrefectClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_workspace(tmp_path, EXEMPLARS_IMAGE=IMAGE).enter(monkeypatch)
    make_container_pool(client)
    # As a bare 'prefect deploy' makes it.
    ask(client, "POST", f"/work_pools/{POOL}/queues", name="parts")
    schedule = {"schedule": {"cron": "5 4 * * *", "timezone": "UTC"}, "active": True, "parameters": {}, "slug": "own"}
    kept = make_deployment(client, "synthesize/nightly", schedules=[schedule], paused=True)
    folder = {"prefect.deployments.steps.set_working_directory": {"directory": "/somewhere/else"}}
    make_deployment(client, FORM, entrypoint="flows/synthesize.py:synthesize", pull_steps=[folder])
    changed = WATCHES[0].model_copy(update={"enabled": False, "description": "somebody's own words"})
    client.create_automation(changed)
    gone = leave_run(client, StateType.RUNNING, find_gone_process())
    silent = leave_run(client, StateType.RUNNING, "elsewhere/1/1")
    said = deploy(read_settings()).splitlines()
    found = find_deployments(client, NAMES)
    form, nightly = found[FORM], found["synthesize/nightly"]
    states = [read_state(client, run_id)[0] for run_id in (gone, silent)]

    others = "backfill/nightly, catalogue/nightly, prune/nightly off (switch them on in the UI)"
    assert [
        f"Prefect {version('prefect')} at {PREFECT_API_URL.value()}",
        f"  work pool: {POOL} (docker)",
        "  queues: interactive, backfill, parts",
        f"  deployments: {', '.join(sorted(NAMES))}",
        "  forms offer: 1 handle; others can be typed",
        f"  schedules: synthesize/nightly on; {others}",
        "  automations: 4 that end runs whose process is gone",
        "  alerts: off (EXEMPLARS_ALERT_URL is not set)",
    ] == said[:8]
    assert any(line.startswith("  ended: ") for line in said[8:])
    assert any(line.startswith("  watched: ") for line in said[9:])
    assert ["CRASHED", "RUNNING"] == states
    assert ("flows.synthesize.synthesize", [], "interactive") == (
        form.entrypoint,
        form.pull_steps,
        form.work_queue_name,
    )
    assert (IMAGE, "6") == (form.job_variables["image"], form.job_variables["env"]["PREFECT_CLIENT_MAX_RETRIES"])
    # The file's own default is no model of this catalogue.
    assert {"synth_type", "effort"} == set(form.parameters)
    assert (UUID(kept), True, [True]) == (nightly.id, nightly.paused, [item.active for item in nightly.schedules])
    # As they are written, in the order of the file.
    watches = [AutomationCore.model_validate(item.model_dump()) for item in client.read_automations()]
    order = [watch.name for watch in WATCHES]
    assert read_automations(containers=True) == sorted(watches, key=lambda item: order.index(item.name))
    parts = client.read_work_queue_by_name("parts", work_pool_name=POOL)
    assert (3, 4) == (parts.concurrency_limit, parts.priority)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("docker", r"Build one from the Dockerfile.* set EXEMPLARS_IMAGE"),
        ("ecs", r"has the type ecs, but only process, docker, kubernetes are supported\. Delete it"),
    ],
)
def test_pool_whose_runs_would_find_no_code_is_refused(
    client: SyncPrefectClient, workspace: Workspace, monkeypatch: pytest.MonkeyPatch, kind: str, said: str
) -> None:
    workspace.enter(monkeypatch)
    make_container_pool(client, kind)
    with pytest.raises(OrchestratorError, match=said):
        deploy(read_settings())


def test_deploy_without_a_server_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    gone = f"http://127.0.0.1:{find_free_port()}/api"
    with temporary_settings(restore_defaults={PREFECT_API_URL}):
        unset = main()
    with temporary_settings({PREFECT_API_URL: gone}):
        away = main()
    told = capsys.readouterr()

    assert (3, 3, "") == (unset, away, told.out)
    first, second = told.err.splitlines()
    assert "exemplars: no Prefect server is configured. Set PREFECT_API_URL, or run make serve" == first
    assert second.startswith(f"exemplars: The Prefect server at {gone} does not tell its version: ")


def test_unexpected_error_of_a_deploy_is_no_failed_gate(capsys: pytest.CaptureFixture[str]) -> None:
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:port/api"}):
        code = main()
    *_, last = capsys.readouterr().err.splitlines()

    assert 3 == code
    assert last.startswith("exemplars: unexpected error, perhaps a mistake in the program: InvalidURL: ")


def test_runs_whose_process_on_this_host_is_gone_are_ended(client: SyncPrefectClient) -> None:
    gone, living, elsewhere = find_gone_process(), name_process(), "elsewhere/1/1"
    marked = {
        (StateType.RUNNING, gone): ("CRASHED", GONE),
        (StateType.CANCELLING, gone): ("CANCELLED", GONE),
        (StateType.PENDING, gone): ("PENDING", ""),
        (StateType.RUNNING, living): ("RUNNING", ""),
        (StateType.RUNNING, elsewhere): ("RUNNING", ""),
    }
    runs = {what: leave_run(client, *what) for what in marked}
    limit = f"model:u22a8.{uuid4()}"
    ask(client, "POST", "/v2/concurrency_limits/", name=limit, limit=1)
    taken = {"names": [limit], "slots": 1, "mode": "concurrency", "lease_duration": 60}
    lease_id = ask(client, "POST", "/v2/concurrency_limits/increment-with-lease", **taken)["lease_id"]
    leased = leave_run(client, StateType.RUNNING, gone, lease_id)
    # Restarted since its process left that mark.
    again = leave_run(client, StateType.RUNNING, gone, begun=datetime.now(UTC) - timedelta(hours=1))
    ended, others = end_gone_runs(client)
    states = {what: read_state(client, run_id) for what, run_id in runs.items()}
    mark = read_lease_labels(client.read_flow_run(leased).labels)
    slots = ask(client, "GET", f"/v2/concurrency_limits/{limit}")["active_slots"]

    assert marked == states
    assert mark is not None
    assert ("", 0) == (mark.lease_id, slots)
    assert ended >= 3
    ids = {run.id for run in others}
    assert {runs[StateType.PENDING, gone], runs[StateType.RUNNING, elsewhere], again} <= ids
    assert runs[StateType.RUNNING, living] not in ids


def test_deploy_watches_the_runs_that_it_finds(client: SyncPrefectClient) -> None:
    left = {state: leave_run(client, state) for state in UNFINISHED}
    create_short_automations(client)
    for run_id in left.values():
        watch_run(client, client.read_flow_run(run_id))
    wait_until(lambda: all(read_state(client, run_id)[0] in ENDED for run_id in left.values()), 140, "they are over")

    _, pending, cancelling, running = WATCHES
    for watch, state in (
        (running, StateType.RUNNING),
        (pending, StateType.PENDING),
        (cancelling, StateType.CANCELLING),
    ):
        [action] = watch.actions
        assert isinstance(action, ChangeFlowRunState)
        assert (action.state.value, action.message) == read_state(client, left[state])


def test_run_that_is_set_to_run_again_when_its_heartbeats_have_stopped_stays_so(client: SyncPrefectClient) -> None:
    run_id = leave_run(client, StateType.RUNNING)
    automation = create_short_automations(client)[0]
    retry = {"type": "SCHEDULED", "name": "AwaitingRetry"}
    ask(client, "POST", f"/flow_runs/{run_id}/set_state", state=retry, force=True)
    # The last sign of life: the time that is waited after it was over before the retry was set.
    resource, flow = name_resources(client.read_flow_run(run_id), "synthesize")
    last = Event(
        event=HEARTBEAT,
        resource=Resource(resource),
        related=[RelatedResource(flow)],
        occurred=datetime.now(UTC) - timedelta(seconds=30),
    )
    client.request("POST", "/events", json=[last.model_dump(mode="json")]).raise_for_status()
    kinds = {f"prefect.automation.action.{how}" for how in ("failed", "executed")}
    wanted = {"event": {"name": [*kinds]}, "resource": {"id": [f"prefect.automation.{automation}"]}}
    wait_until(lambda: ask(client, "POST", "/events/filter", filter=wanted)["events"], 60, "the automation has acted")

    assert ("SCHEDULED", "") == read_state(client, run_id)


@pytest.mark.parametrize("found", [version("prefect"), "3.9.7", "3.10.0"])
def test_server_of_this_version_or_a_later_one_will_do(found: str) -> None:
    assert found == ask_version(200, json.dumps(found))


@pytest.mark.parametrize(
    ("code", "body", "said"),
    [
        (200, '"2.20.4"', r"has version 2\.20\.4, but this code needs 3\.9 or a later 3.*pip"),
        (200, '"3.8.8"', r"has version 3\.8\.8, but"),
        (401, "{}", r"(?s)401.*PREFECT_API_AUTH_STRING"),
        (200, "<html>", r"does not tell its version: .*PREFECT_API_URL is its address"),
        (200, '"today"', "does not tell its version"),
    ],
)
def test_server_that_will_not_do_is_refused_with_what_to_do(code: int, body: str, said: str) -> None:
    with pytest.raises(OrchestratorError, match=said):
        ask_version(code, body)


def ask_version(code: int, body: str) -> str:
    with (
        open_receiver(code, body) as receiver,
        temporary_settings({PREFECT_API_URL: f"http://127.0.0.1:{receiver.port}/api"}),
        get_client(sync_client=True) as client,
    ):
        return check_server(client)


def create_short_automations(client: SyncPrefectClient) -> list[UUID]:
    """The ids of the automations, which wait for ten seconds in place of minutes."""
    shorts = []
    for watch in WATCHES:
        assert isinstance(watch.trigger, EventTrigger)
        within = min(watch.trigger.within, timedelta(seconds=10))
        trigger = watch.trigger.model_copy(update={"within": within})
        shorts.append(client.create_automation(watch.model_copy(update={"trigger": trigger})))
    return shorts


def leave_run(
    client: SyncPrefectClient,
    state: StateType,
    process: str | None = None,
    lease_id: str = "",
    begun: datetime | None = None,
) -> UUID:
    """A run of the flow in a state that no process has put it in, or will take it out of.

    With a ``process`` it is marked with that, as of a lease that was taken when it had ``begun``, now where not given.
    """
    flow_id = ask(client, "POST", "/flows/", name="synthesize")["id"]
    run_id = ask(client, "POST", "/flow_runs/", flow_id=flow_id, name=LEFT, state={"type": "SCHEDULED"})["id"]
    # A run that never ran is cancelled at once.
    for step in ("RUNNING", "CANCELLING") if state is StateType.CANCELLING else (state.value,):
        ask(client, "POST", f"/flow_runs/{run_id}/set_state", state={"type": step}, force=True)
    if process is not None:
        mark = LeaseLabels(lease_id, begun or datetime.now(UTC), process)
        ask(client, "PATCH", f"/flow_runs/{run_id}/labels", **mark.to_labels())
    return UUID(run_id)


def read_state(client: SyncPrefectClient, run_id: UUID) -> tuple[str, str]:
    state = client.read_flow_run(run_id).state
    assert state is not None
    return state.type.value, state.message or ""
