"""Brings the automations of automations.yaml up to date on a Prefect server."""

from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

import yaml
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import StateType
from prefect.events.schemas.automations import AutomationCore

AUTOMATIONS_FILE = Path(__file__).with_name("automations.yaml")
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


def read_alert(block_id: UUID, ui: str) -> AutomationCore:
    """The automation that reports failed nightly runs by a webhook block, with links to the UI at an address."""
    told = _read_file()["alert"]
    [action] = told["actions"]
    filled = {**action, "block_document_id": block_id, "payload": action["payload"].replace("UI/", f"{ui}/", 1)}
    return AutomationCore.model_validate({**told, "actions": [filled]})


def name_alert() -> str:
    """The name of the automation that reports failed nightly runs."""
    return str(_read_file()["alert"]["name"])


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


@cache
def _read_file() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(AUTOMATIONS_FILE.read_text(encoding="utf-8"))
    return content
