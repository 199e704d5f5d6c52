"""Update the automations of automations.yaml on a Prefect server: the alerts, and the automations that end runs."""

from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

import yaml
from prefect.blocks.webhook import Webhook
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import StateType
from prefect.events.schemas.automations import AutomationCore
from prefect.events.schemas.events import Event, Resource
from prefect.exceptions import ObjectNotFound
from prefect.settings import get_current_settings
from pydantic import SecretStr

BLOCK, BLOCK_TYPE = "exemplars-alert", "webhook"
AUTOMATIONS_FILE = Path(__file__).with_name("automations.yaml")
# The event at the end of the flow catalogue, the event of the deploy step before the first one, and their resource.
DAILY_SUMMARY, NIGHT_IS_DUE, NIGHTS = "exemplars.morning", "exemplars.night-is-due", "exemplars.nights"
# A container may have to pull an image of 2 GB first.
CONTAINER_SECONDS = 900


def read_automations(containers: bool) -> list[AutomationCore]:
    """Return the automations that end a run after the loss of its process.

    Args:
        containers: whether runs are containers, which start slower than processes of a worker.
    """
    automations = []
    for entry in _read_file()["automations"]:
        trigger = dict(entry["trigger"])
        if containers and name_left_event(StateType.PENDING) in trigger["after"]:
            trigger["within"] = CONTAINER_SECONDS
        automations.append(AutomationCore.model_validate({**entry, "trigger": trigger}))
    return automations


def read_alerts(block_id: UUID, ui: str) -> list[AutomationCore]:
    """Return the automations that report nightly runs through a webhook block, with links to the UI at ``ui``."""
    alerts = []
    for entry in _read_file()["alerts"]:
        [action] = entry["actions"]
        filled = {**action, "block_document_id": block_id, "payload": action["payload"].replace("UI/", f"{ui}/", 1)}
        alerts.append(AutomationCore.model_validate({**entry, "actions": [filled]}))
    return alerts


def alert_missed_nightly(client: SyncPrefectClient) -> None:
    """Make the alerts expect the next daily summary, even if none has arrived since their creation."""
    event = Event(event=NIGHT_IS_DUE, resource=Resource({"prefect.resource.id": NIGHTS}))
    client.request("POST", "/events", json=[event.model_dump(mode="json")]).raise_for_status()


def name_left_event(state: StateType) -> str:
    """Return the event that the deploy step emits for an unfinished run in a state, so that the run is watched."""
    return f"exemplars.flow-run.left-{state.value.lower()}"


def ensure_automation(client: SyncPrefectClient, automation: AutomationCore) -> None:
    """Create an automation, or update it if it differs.

    An identical one is not updated, since an update makes Prefect forget which runs it watches.
    """
    existing = client.read_automations_by_name(automation.name)
    if not existing:
        client.create_automation(automation)
    # Only the server's automations have ids of triggers and the like.
    elif automation != AutomationCore.model_validate(existing[0].model_dump()):
        client.update_automation(existing[0].id, automation)


def ensure_alerts(client: SyncPrefectClient, address: SecretStr | None) -> str:
    """Create or update the alerts to the address, and return their state as a phrase without the address.

    Without an address nothing is created, and existing alerts stay, since others may rely on them.
    """
    if address is None:
        existing = filter(client.read_automations_by_name, (entry["name"] for entry in _read_file()["alerts"]))
        commands = ", ".join(f"prefect automation delete '{name}'" for name in existing)
        remedy = f". To end them: {commands} and prefect block delete {BLOCK_TYPE}/{BLOCK}" if commands else ""
        return f"{'unchanged' if commands else 'off'} (EXEMPLARS_ALERT_URL is not set){remedy}"
    _ensure_block(client, address)
    document = client.read_block_document_by_name(BLOCK, BLOCK_TYPE)
    ui = (get_current_settings().ui_url or "").rstrip("/")
    for alert in read_alerts(document.id, ui):
        ensure_automation(client, alert)
    return f"on, by the block {BLOCK_TYPE}/{BLOCK}"


def _ensure_block(client: SyncPrefectClient, address: SecretStr) -> None:
    """Create or update the block with the address; other fields that people have set, such as headers, stay."""
    try:
        document = client.read_block_document_by_name(BLOCK, BLOCK_TYPE, include_secrets=True)
    except ObjectNotFound:
        Webhook(url=address, headers={"Content-Type": "application/json"}).save(BLOCK, overwrite=True)
        return
    if document.data.get("url") != address.get_secret_value():
        Webhook(**{**document.data, "url": address}).save(BLOCK, overwrite=True)


@cache
def _read_file() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(AUTOMATIONS_FILE.read_text(encoding="utf-8"))
    return content
