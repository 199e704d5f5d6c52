"""What was deployed, at work on another machine: a run that is asked for, and a nightly one whose failure is told."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from fakes.blocks import find_blocks
from fakes.elsewhere import build_wheel, start_worker_elsewhere
from fakes.provider import serve_provider
from fakes.receiver import Receiver, open_receiver
from fakes.site import Site, open_site
from fakes.waiting import wait_until
from fakes.workspace import HANDLE, ROOT, make_workspace
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, temporary_settings
from pydantic import SecretStr

from engine.store.layout import SAMPLES
from flows.deploy.alerts import BLOCK, ensure_alerts
from flows.deploy.automations import name_alert

pytestmark = pytest.mark.slow

TOKEN = "t0ken-of-the-receiver"
UNKNOWN = "u22a8.nobody"
SAID = "alerts of failed nightly runs: "


@dataclass
class Fleet:
    """``said`` is what the first deploy step has said, ``home`` the other machine's."""

    site: Site
    receiver: Receiver
    said: str
    home: Path

    @property
    def address(self) -> str:
        return name_address(self.receiver)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """A server that was deployed to from here, and a worker that stands elsewhere."""
    code = build_wheel(tmp_path_factory.mktemp("wheel"))
    folder = tmp_path_factory.mktemp("fleet")
    with open_receiver() as receiver, serve_provider() as provider, open_site(make_workspace(folder, provider)) as site:
        site.start_server()
        said = site.deploy(EXEMPLARS_ALERT_URL=name_address(receiver))
        home = start_worker_elsewhere(site, folder / "elsewhere", code, "--limit", "2")
        yield Fleet(site, receiver, said, home)


@pytest.fixture(scope="module")
def training(fleet: Fleet) -> str:
    """The id of a deployment that the automation of the guide starts, and that no worker takes runs of."""
    [block] = [block for block in find_blocks((ROOT / "docs/guides/events.md").read_text()) if block.language == "yaml"]
    flow = fleet.site.ask("POST", "/flows/", name="train")["id"]
    training: str = fleet.site.ask("POST", "/deployments/", name="on-attached", flow_id=flow)["id"]
    automation = yaml.safe_load(block.text)
    automation["actions"][0]["deployment_id"] = training
    fleet.site.ask("POST", "/automations/", **automation)
    return training


def test_run_goes_on_where_neither_folder_nor_home_is_that_of_the_deploy_step_and_a_training_begins(
    fleet: Fleet, training: str
) -> None:
    run = fleet.site.start_run()
    wait_until(lambda: fleet.site.read_state(run)[0] in ("COMPLETED", "FAILED", "CRASHED"), 120, "the run is over")
    [kept] = (fleet.home / "exemplars" / "data" / "samples").rglob(SAMPLES)

    assert "COMPLETED" == fleet.site.read_state(run)[0], fleet.site.read_state(run)
    assert f"run={run}" == kept.parent.name
    own = {"deployments": {"id": {"any_": [training]}}}
    wait_until(lambda: fleet.site.ask("POST", "/flow_runs/filter", **own), 30, "the automation has started a training")
    [begun] = fleet.site.ask("POST", "/flow_runs/filter", **own)
    assert {"handle": HANDLE, "run_id": run} == begun["parameters"]


def test_nightly_run_is_fired_by_its_schedule_and_its_failure_arrives(fleet: Fleet) -> None:
    nightly = fleet.site.find_deployment("synthesize/nightly")
    [schedule] = nightly["schedules"]
    due = datetime.now(UTC) + timedelta(seconds=15)
    soon = {"interval": 60, "anchor_date": due.isoformat(), "timezone": "UTC"}
    own = {"schedule": soon, "parameters": {"handle": UNKNOWN}, "active": True}
    fleet.site.ask("PATCH", f"/deployments/{nightly['id']}/schedules/{schedule['id']}", **own)
    # Prefect looks at schedules each minute, and at once at those of what has just been deployed.
    said = fleet.site.deploy(EXEMPLARS_ALERT_URL=fleet.address)
    wait_until(lambda: fleet.receiver.messages, 120, "a message arrives")
    fleet.site.ask("PATCH", f"/deployments/{nightly['id']}/schedules/{schedule['id']}", **{**own, "active": False})
    [message] = fleet.receiver.messages
    run = fleet.site.ask("GET", f"/flow_runs/{message['run_id']}")
    fleet.receiver.messages.clear()

    assert f"{SAID}webhook made, automation made" in fleet.said
    assert "schedules: synthesize/nightly on; backfill/nightly, catalogue/nightly, prune/nightly off" in said
    assert f"{SAID}webhook there, automation there" in said
    assert (True, "FAILED") == (run["auto_scheduled"], run["state_type"])
    assert f"/hook?token={TOKEN}" == fleet.receiver.path
    assert "application/json" == fleet.receiver.headers["content-type"]
    address = f"{fleet.site.url.removesuffix('/api')}/runs/flow-run/{run['id']}"
    words = run["state"]["message"]
    assert UNKNOWN in words
    assert {
        "text": f"synthesize/nightly: run {run['name']} is Failed. {words} {address}",
        "deployment": "synthesize/nightly",
        "run": run["name"],
        "run_id": run["id"],
        "state": "Failed",
        "message": words,
        "url": address,
    } == {name: text for name, text in message.items() if name != "at"}
    assert datetime.fromisoformat(message["at"]) == datetime.fromisoformat(run["state"]["timestamp"])


def test_only_nightly_runs_of_a_deployment_are_told_whatever_their_message(fleet: Fleet) -> None:
    site, words = fleet.site, 'a "quote", {{ braces }}, <b> and\na line with ümlaut'
    flow = site.ask("POST", "/flows/", name="synthesize")["id"]
    child = site.ask("POST", "/flow_runs/", flow_id=flow, name="a backfill's own", tags=["exemplars", "nightly"])
    asked = make_run(site, "synthesize/on-demand", handle=HANDLE)
    crashed = make_run(site, "backfill/nightly")
    for run in (child, asked, crashed):
        site.ask("POST", f"/flow_runs/{run['id']}/set_state", state={"type": "CRASHED", "message": words}, force=True)
    # Said again, as a worker says it after the run itself.
    site.ask("POST", f"/flow_runs/{crashed['id']}/set_state", state={"type": "CRASHED", "message": words}, force=True)
    last = make_run(site, "backfill/nightly")
    late = {"type": "FAILED", "name": "TimedOut"}
    site.ask("POST", f"/flow_runs/{last['id']}/set_state", state=late, force=True)
    wait_until(lambda: last["id"] in [message["run_id"] for message in fleet.receiver.messages], 60, "the last arrives")
    told = [tuple(message[name] for name in ("run_id", "state", "message")) for message in fleet.receiver.messages]
    fleet.receiver.messages.clear()

    assert {(crashed["id"], "Crashed", words), (last["id"], "TimedOut", "")} == set(told)
    assert 2 == len(told)


def test_alerts_are_changed_by_another_address_and_stay_without_one(fleet: Fleet) -> None:
    addresses = [SecretStr("http://127.0.0.1:9/elsewhere"), *[SecretStr(fleet.address)] * 2, None]
    with temporary_settings({PREFECT_API_URL: fleet.site.url}), get_client(sync_client=True) as client:
        said = [ensure_alerts(client, address) for address in addresses]

    assert "webhook changed, automation there" == said[0] == said[1]
    assert "webhook there, automation there" == said[2]
    assert "unchanged since they were set up before (EXEMPLARS_ALERT_URL is not set now). To end them: " in said[3]
    assert f"prefect automation delete '{name_alert()}' and prefect block delete webhook/{BLOCK}" in said[3]


def test_address_of_alerts_stands_nowhere_that_people_read(fleet: Fleet) -> None:
    block = fleet.site.ask("GET", f"/block_types/slug/webhook/block_documents/name/{BLOCK}")
    logs = [path.read_text() for path in fleet.site.workspace.folder.rglob("*.log")]

    assert logs
    assert TOKEN not in fleet.said
    assert TOKEN not in repr(block)
    assert not any(TOKEN in log for log in logs)


def name_address(receiver: Receiver) -> str:
    return f"http://127.0.0.1:{receiver.port}/hook?token={TOKEN}"


def make_run(site: Site, deployment: str, **parameters: object) -> dict[str, Any]:
    """A run of a deployment that no worker takes for a day."""
    tomorrow = {"scheduled_time": (datetime.now(UTC) + timedelta(days=1)).isoformat()}
    state = {"type": "SCHEDULED", "state_details": tomorrow}
    path = f"/deployments/{site.find_deployment(deployment)['id']}/create_flow_run"
    run: dict[str, Any] = site.ask("POST", path, name=str(uuid.uuid4()), state=state, parameters=parameters)
    return run
