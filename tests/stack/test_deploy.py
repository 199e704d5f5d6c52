"""The deploy step on a server that people use: it undoes nothing, and a nightly run's failure arrives where it is told.

The nightly run is fired by its schedule; of other runs nothing is told.
"""

import asyncio
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from fakes.receiver import Receiver, open_receiver
from fakes.site import Site
from fakes.stack import Stack
from fakes.waiting import wait_until
from fakes.workspace import HANDLE
from prefect.client.orchestration import get_client
from prefect.events.schemas.automations import AutomationCore
from prefect.settings import PREFECT_API_URL, temporary_settings
from pydantic import SecretStr

from flows.catalogue.flow import catalogue
from flows.deploy.automations import BLOCK, alert_missed_nightly, ensure_alerts, read_alerts
from flows.deploy.deployments import offer_handles

TOKEN = "t0ken-of-the-receiver"
UNKNOWN = "u22a8.nobody"
OWN_SCHEDULE = {
    "schedule": {"cron": "5 4 * * *", "timezone": "Europe/Berlin"},
    "active": True,
    "parameters": {"effort": "low"},
}
PAUSED, SCHEDULED = "catalogue/nightly", "synthesize/nightly"
ALERTS = [alert.name for alert in read_alerts(uuid.uuid4(), "")]
QUEUE = "/work_pools/exemplars/queues/backfill"
# What a deploy leaves as it is, whoever has set it up.
OF_DEPLOYMENTS = "id name version paused parameters tags job_variables work_queue_name concurrency_options"
KEPT = {
    "deployments": OF_DEPLOYMENTS.split(),
    "automations": ("id", "name", "description", "enabled", "actions"),
    "work_pools": ("id", "name", "type"),
    "work_pools/exemplars/queues": ("id", "name", "priority", "concurrency_limit"),
}


@dataclass(frozen=True)
class Deployed:
    """A server that was deployed to once more: what that said, and what was there before and after it."""

    site: Site
    receiver: Receiver
    address: str
    said: str
    before: Any
    after: Any


@pytest.fixture(scope="module")
def deployed(whole_stack: Stack) -> Iterator[Deployed]:
    """A second deploy to a server on which people have paused, scheduled and limited something."""
    site = whole_stack.site
    nightly, paused = site.find_deployment(SCHEDULED), site.find_deployment(PAUSED)
    path = f"/deployments/{nightly['id']}/schedules"
    site.ask("PATCH", f"{path}/{nightly['schedules'][0]['id']}", **OWN_SCHEDULE)
    httpx.post(f"{site.url}{path}", json=[{**OWN_SCHEDULE, "schedule": {"interval": 3600}}]).raise_for_status()
    site.ask("POST", f"/deployments/{paused['id']}/pause_deployment")
    site.ask("PATCH", QUEUE, concurrency_limit=40, priority=2)
    # Tests make models, which the next deploy would offer.
    with temporary_settings({PREFECT_API_URL: site.url}), get_client(sync_client=True) as client:
        offer_handles(client, whole_stack.workspace.variables["EXEMPLARS_MODELS_URI"])
    before = describe(site)
    with open_receiver() as receiver:
        address = f"http://127.0.0.1:{receiver.port}/hook?token={TOKEN}"
        said = site.deploy(EXEMPLARS_ALERT_URL=address)
        yield Deployed(site, receiver, address, said, before, describe(site))
    # No run of theirs may come later.
    for schedule in site.find_deployment(SCHEDULED)["schedules"]:
        site.ask("DELETE", f"{path}/{schedule['id']}")


def test_second_deploy_changes_nothing_and_leaves_what_people_have_set_up(deployed: Deployed) -> None:
    said = deployed.said.splitlines()

    assert "  work pool: exemplars (process)" == said[1]
    assert "  queues: interactive, backfill, parts" == said[2]
    assert said[3].startswith("  deployments: backfill/nightly, ")
    assert said[3].endswith(", synthesize/on-demand")
    assert f"  schedules: {SCHEDULED} on; backfill/nightly, catalogue/nightly, prune/nightly off" in said[5]
    assert ["  alerts: on, by the block webhook/exemplars-alert"] == said[7:]
    watches = [found for found in deployed.after["automations"] if not any(name in found for name in ALERTS)]
    assert len(ALERTS) == len(deployed.after["automations"]) - len(watches)
    assert deployed.before == {**deployed.after, "automations": watches}
    assert any("'backfill', 2, 40" in queue for queue in deployed.after["work_pools/exemplars/queues"])
    assert 2 == len(deployed.site.find_deployment(SCHEDULED)["schedules"])


def test_nightly_run_is_fired_by_its_schedule_and_its_failure_arrives(stack: Stack, deployed: Deployed) -> None:
    site, receiver = stack.site, deployed.receiver
    nightly = site.find_deployment(SCHEDULED)
    place = f"/deployments/{nightly['id']}/schedules/{nightly['schedules'][0]['id']}"
    due = datetime.now(UTC) + timedelta(seconds=15)
    soon = {"interval": 60, "anchor_date": due.isoformat(), "timezone": "UTC"}
    site.ask("PATCH", place, schedule=soon, parameters={"handle": UNKNOWN}, active=True)
    # Prefect looks at schedules each minute, and at once at those of a deployment that was just changed.
    site.ask("PATCH", f"/deployments/{nightly['id']}", description=nightly["description"])
    wait_until(lambda: receiver.messages, 150, "a message arrives")
    site.ask("PATCH", place, active=False)
    message = receiver.messages.pop()
    run = site.ask("GET", f"/flow_runs/{message['run_id']}")
    address = f"{site.url.removesuffix('/api')}/runs/flow-run/{run['id']}"
    words = run["state"]["message"]

    assert (True, "FAILED") == (run["auto_scheduled"], run["state_type"])
    assert f"/hook?token={TOKEN}" == receiver.path
    assert "application/json" == receiver.headers["content-type"]
    assert UNKNOWN in words
    assert {
        "text": f"{SCHEDULED}: run {run['name']} is Failed. {words} {address}",
        "deployment": SCHEDULED,
        "run": run["name"],
        "run_id": run["id"],
        "state": "Failed",
        "message": words,
        "url": address,
    } == {name: text for name, text in message.items() if name != "at"}
    assert datetime.fromisoformat(message["at"]) == datetime.fromisoformat(run["state"]["timestamp"])


def test_only_nightly_runs_of_a_deployment_are_told_whatever_their_message(deployed: Deployed) -> None:
    site, words = deployed.site, 'a "quote", {{ braces }}, <b> and\na line with ümlaut'
    flow = site.ask("POST", "/flows/", name="synthesize")["id"]
    child = site.ask("POST", "/flow_runs/", flow_id=flow, name="a backfill's own", tags=["exemplars", "nightly"])
    asked = make_run(site, "synthesize/on-demand", handle=HANDLE)
    crashed, last = make_run(site, "backfill/nightly"), make_run(site, "backfill/nightly")
    # The last is said again, as a worker says it after the run itself.
    for run in (child["id"], asked, crashed, crashed):
        site.set_state(run, "CRASHED", message=words)
    site.set_state(last, "FAILED", name="TimedOut")
    # They may arrive in another order.
    due = {crashed, last}
    wait_until(lambda: due <= {message["run_id"] for message in deployed.receiver.messages}, 60, "both arrive")
    told = [tuple(message[name] for name in ("run_id", "state", "message")) for message in deployed.receiver.messages]
    deployed.receiver.messages.clear()

    assert [(crashed, "Crashed", words), (last, "TimedOut", "")] == sorted(told, key=lambda item: str(item[1]))


def test_what_a_night_made_is_told_in_the_morning(stack: Stack, deployed: Deployed) -> None:
    site, receiver = deployed.site, deployed.receiver
    failed = make_run(site, "synthesize/on-demand", handle=UNKNOWN)
    site.set_state(failed, "FAILED", message="No such model.")
    site.ask("PATCH", f"/flow_runs/{failed}", name="the one that failed")
    receiver.messages.clear()
    with pytest.MonkeyPatch.context() as patch, temporary_settings({PREFECT_API_URL: site.url}):
        stack.workspace.enter(patch)
        asyncio.run(catalogue())
    wait_until(lambda: [each for each in receiver.messages if "morning" in each], 60, "the message arrives")
    [message] = [each for each in receiver.messages if "morning" in each]
    receiver.messages.clear()

    assert message["text"].startswith("Exemplars, ")
    assert message["text"].endswith(f" {message['url']}")
    assert message["morning"]["text"] in message["text"]
    assert message["morning"]["models"] > 0
    assert failed in [run["run_id"] for run in message["morning"]["troubled"]]
    assert site.ask("GET", f"/flow_runs/{message['url'].rpartition('/')[2]}")["state_type"] == "COMPLETED"


def test_night_that_did_not_run_is_told(deployed: Deployed) -> None:
    """With ten seconds in the place of a day."""
    receiver = deployed.receiver
    with temporary_settings({PREFECT_API_URL: deployed.site.url}), get_client(sync_client=True) as client:
        [made] = client.read_automations_by_name(ALERTS[2])
        short = AutomationCore.model_validate({**made.model_dump(), "name": "a short night"})
        short.trigger.within = timedelta(seconds=10)  # type: ignore[union-attr]
        own = client.create_automation(short)
        receiver.messages.clear()

        def is_told() -> bool:
            # What is said before the server has taken in the automation passes it by.
            alert_missed_nightly(client)
            return bool(receiver.messages)

        wait_until(is_told, 90, "the message arrives")
        client.delete_automation(own)
    message = receiver.messages.pop()

    assert message["text"].startswith(
        "Exemplars: no nightly run for 25 hours. No run of catalogue/nightly has ended since"
    )
    assert datetime.fromisoformat(message["since"]) <= datetime.now(UTC)


def test_alerts_are_changed_by_another_address_and_stay_without_one_and_none_is_to_be_read(deployed: Deployed) -> None:
    addresses = [SecretStr("http://127.0.0.1:9/elsewhere"), *[SecretStr(deployed.address)] * 2, None]
    with temporary_settings({PREFECT_API_URL: deployed.site.url}), get_client(sync_client=True) as client:
        said = [ensure_alerts(client, address) for address in addresses]
    block = deployed.site.ask("GET", f"/block_types/slug/webhook/block_documents/name/{BLOCK}")
    logs = [path.read_text() for path in deployed.site.workspace.folder.glob("*.log")]

    assert ["on, by the block webhook/exemplars-alert"] * 3 == said[:3]
    assert all(f"prefect automation delete '{name}'" in said[3] for name in ALERTS)
    assert f" and prefect block delete webhook/{BLOCK}" in said[3]
    assert len(logs) > 1
    assert not any(TOKEN in text for text in (deployed.said, repr(block), *logs))


def test_run_that_somebody_waits_for_comes_before_a_backfill_s_however_many_these_are(stack: Stack) -> None:
    asked = [make_run(stack.site, "backfill/on-demand") for _ in range(8)]
    asked.append(make_run(stack.site, "synthesize/on-demand", handle=HANDLE))
    later = (datetime.now(UTC) + timedelta(days=2)).isoformat()
    taken = stack.site.ask("POST", "/work_pools/exemplars/get_scheduled_flow_runs", scheduled_before=later)
    for run in asked:
        stack.site.ask("DELETE", f"/flow_runs/{run}")

    assert asked[-1] == taken[0]["flow_run"]["id"]


def test_backfill_that_is_due_while_the_last_one_runs_is_cancelled_and_not_queued(stack: Stack) -> None:
    runs = [make_run(stack.site, "backfill/nightly") for _ in range(2)]
    for run in runs:
        stack.site.ask("POST", f"/flow_runs/{run}/set_state", state={"type": "PENDING"}, force=False)
    states = [stack.site.read_state(run) for run in runs]
    for run in runs:
        stack.site.ask("DELETE", f"/flow_runs/{run}")

    assert ["PENDING", "CANCELLED"] == [kind for kind, _ in states]
    assert "Deployment concurrency limit reached." == states[1][1]


def make_run(site: Site, deployment: str, **parameters: object) -> str:
    """The id of a run of a deployment that no worker takes for a day."""
    tomorrow = {"scheduled_time": (datetime.now(UTC) + timedelta(days=1)).isoformat()}
    state = {"type": "SCHEDULED", "state_details": tomorrow}
    path = f"/deployments/{site.find_deployment(deployment)['id']}/create_flow_run"
    return str(site.ask("POST", path, name=str(uuid.uuid4()), state=state, parameters=parameters)["id"])


def describe(site: Site) -> dict[str, list[str]]:
    found = {
        kind: sorted(repr([item[name] for name in names]) for item in site.ask("POST", f"/{kind}/filter"))
        for kind, names in KEPT.items()
    }
    schedules = site.find_deployment(SCHEDULED)["schedules"]
    told = sorted(repr([item[name] for name in ("schedule", "parameters", "active")]) for item in schedules)
    return {**found, "schedules": told}
