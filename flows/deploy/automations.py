"""Brings the automations of automations.yaml up to date on a Prefect server: those that end runs, and the alerts."""

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
# What the flow catalogue emits at its end, and what the deploy step emits where it is to; and the resource of both.
DAILY_SUMMARY, NIGHT_IS_DUE, NIGHTS = "exemplars.morning", "exemplars.night-is-due", "exemplars.nights"
# They may have to pull an image of 2 GB first.
CONTAINER_SECONDS = 900


def read_automations(containers: bool) -> list[AutomationCore]:
    """The automations that end runs whose process is gone.

    Args:
        containers: whether runs are containers, which start slower than processes of a worker.
    """
    wanted = []
    for told in _read_file()["automations"]:
        trigger = dict(told["trigger"])
        if containers and name_left_event(StateType.PENDING) in trigger["after"]:
            trigger["within"] = CONTAINER_SECONDS
        wanted.append(AutomationCore.model_validate({**told, "trigger": trigger}))
    return wanted


def read_alerts(block_id: UUID, ui: str) -> list[AutomationCore]:
    """The automations that tell of the nights by a webhook block, with links to the UI at an address."""
    wanted = []
    for told in _read_file()["alerts"]:
        [action] = told["actions"]
        filled = {**action, "block_document_id": block_id, "payload": action["payload"].replace("UI/", f"{ui}/", 1)}
        wanted.append(AutomationCore.model_validate({**told, "actions": [filled]}))
    return wanted


def alert_missed_nightly(client: SyncPrefectClient) -> None:
    """Has the alerts wait for the next morning, where none has come yet since they were made."""
    event = Event(event=NIGHT_IS_DUE, resource=Resource({"prefect.resource.id": NIGHTS}))
    client.request("POST", "/events", json=[event.model_dump(mode="json")]).raise_for_status()


def name_left_event(state: StateType) -> str:
    """The event that the deploy step emits for a run that it finds in a state, so that it is watched."""
    return f"exemplars.flow-run.left-{state.value.lower()}"


def ensure_automation(client: SyncPrefectClient, wanted: AutomationCore) -> None:
    """Makes an automation, or updates it if it differs.

    One that does not differ is not touched, since an update makes Prefect forget which runs it watches.
    """
    found = client.read_automations_by_name(wanted.name)
    if not found:
        client.create_automation(wanted)
    # The ids of a trigger and the like are the server's own.
    elif wanted != AutomationCore.model_validate(found[0].model_dump()):
        client.update_automation(found[0].id, wanted)


def ensure_alerts(client: SyncPrefectClient, address: SecretStr | None) -> str:
    """Makes or updates the alerts to the address, and returns how they are as a phrase without the address.

    Without an address nothing is made, and alerts that were set up before stay, since others may rely on them.
    """
    if address is None:
        there = filter(client.read_automations_by_name, (told["name"] for told in _read_file()["alerts"]))
        typed = ", ".join(f"prefect automation delete '{name}'" for name in there)
        to_end = f". To end them: {typed} and prefect block delete {BLOCK_TYPE}/{BLOCK}" if typed else ""
        return f"{'unchanged' if typed else 'off'} (EXEMPLARS_ALERT_URL is not set){to_end}"
    _ensure_block(client, address)
    document = client.read_block_document_by_name(BLOCK, BLOCK_TYPE)
    ui = (get_current_settings().ui_url or "").rstrip("/")
    for alert in read_alerts(document.id, ui):
        ensure_automation(client, alert)
    return f"on, by the block {BLOCK_TYPE}/{BLOCK}"


def _ensure_block(client: SyncPrefectClient, address: SecretStr) -> None:
    """Makes or updates the block with the address; other fields that people have set in it, such as headers, stay."""
    try:
        found = client.read_block_document_by_name(BLOCK, BLOCK_TYPE, include_secrets=True)
    except ObjectNotFound:
        Webhook(url=address, headers={"Content-Type": "application/json"}).save(BLOCK, overwrite=True)
        return
    if found.data.get("url") != address.get_secret_value():
        Webhook(**{**found.data, "url": address}).save(BLOCK, overwrite=True)


@cache
def _read_file() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(AUTOMATIONS_FILE.read_text(encoding="utf-8"))
    return content
