"""Alerts: a nightly run that failed is reported to an address, by a webhook block and an automation on the server."""

import json
from datetime import timedelta

from prefect.blocks.webhook import Webhook
from prefect.client.orchestration import SyncPrefectClient
from prefect.events.actions import CallWebhook
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.events.schemas.events import ResourceSpecification
from prefect.exceptions import ObjectNotFound
from prefect.settings import get_current_settings
from pydantic import SecretStr

from flows.deploy.automations import ensure_automation

BLOCK, BLOCK_TYPE = "exemplars-alert", "webhook"
AUTOMATION = "exemplars: a nightly run that failed is reported"
TAGS = ("exemplars", "nightly")
# A run that crashed may be said so twice: by its own last breath and by its worker.
SAME_SECONDS = 60
# Chat programs that take a message at an address show `text`; the others are for programs. Names and messages are put
# in by Prefect's server, as JSON, whatever is in them.
PAYLOAD = {
    "text": '(flow.name ~ "/" ~ deployment.name ~ ": run " ~ flow_run.name ~ " is " ~ flow_run.state.name ~ ". "'
    ' ~ (flow_run.state.message or "") ~ " " ~ url)',
    "deployment": 'flow.name ~ "/" ~ deployment.name',
    "run": "flow_run.name",
    "run_id": "flow_run.id | string",
    "state": "flow_run.state.name",
    "message": 'flow_run.state.message or ""',
    "at": "flow_run.state.timestamp | string",
    "url": "url",
}


def ensure_alerts(client: SyncPrefectClient, address: SecretStr | None) -> str:
    """Makes what reports failed nightly runs to the address, or puts it right; in words, without the address.

    Without an address nothing is made, and what was there stays: others may rely on it.
    """
    if address is None:
        if not client.read_automations_by_name(AUTOMATION):
            return "off (EXEMPLARS_ALERT_URL is not set)"
        return (
            "stay as they were set up before (EXEMPLARS_ALERT_URL is not set now). To end them: "
            f"prefect automation delete '{AUTOMATION}' and prefect block delete {BLOCK_TYPE}/{BLOCK}"
        )
    block = _ensure_block(client, address)
    document = client.read_block_document_by_name(BLOCK, BLOCK_TYPE)
    automation = ensure_automation(client, describe_alert(CallWebhook(block_document_id=document.id, payload=fill())))
    return f"webhook {block}, automation {automation}"


def describe_alert(action: CallWebhook) -> AutomationCore:
    """Failed and crashed runs of our nightly deployments; a backfill's own runs have no deployment and are left out."""
    related = (
        *({"prefect.resource.role": "tag", "prefect.resource.id": f"prefect.tag.{tag}"} for tag in TAGS),
        {"prefect.resource.role": "deployment", "prefect.resource.id": "prefect.deployment.*"},
    )
    trigger = EventTrigger(
        type="event",
        posture=Posture.Reactive,
        # By the type, since the name may be another: TimedOut.
        match=ResourceSpecification.model_validate(
            {"prefect.resource.id": "prefect.flow-run.*", "prefect.state-type": ["FAILED", "CRASHED"]}
        ),
        match_related=[ResourceSpecification.model_validate(item) for item in related],
        after=set(),
        expect={"prefect.flow-run.*"},
        for_each={"prefect.resource.id"},
        threshold=1,
        within=timedelta(seconds=SAME_SECONDS),
    )
    return AutomationCore(
        name=AUTOMATION,
        description=f"A run of a deployment with the tags {' and '.join(TAGS)} that failed or crashed is reported to "
        f"the address in the block {BLOCK_TYPE}/{BLOCK}.",
        enabled=True,
        trigger=trigger,
        actions=[action],
    )


def fill() -> str:
    """The template of what is sent; the links lead to the UI as it is reached from where the deploy step runs."""
    ui = (get_current_settings().ui_url or "").rstrip("/")
    fields = ", ".join(f"{json.dumps(name)}: {{{{ ({words}) | tojson }}}}" for name, words in PAYLOAD.items())
    return f"{{% set url = {json.dumps(f'{ui}/runs/flow-run/')} ~ flow_run.id %}}{{{fields}}}"


def _ensure_block(client: SyncPrefectClient, address: SecretStr) -> str:
    """The block with the address; what somebody has put into it besides, such as headers, stays."""
    try:
        found = client.read_block_document_by_name(BLOCK, BLOCK_TYPE, include_secrets=True)
    except ObjectNotFound:
        Webhook(url=address, headers={"Content-Type": "application/json"}).save(BLOCK, overwrite=True)
        return "made"
    if found.data.get("url") == address.get_secret_value():
        return "there"
    Webhook(**{**found.data, "url": address}).save(BLOCK, overwrite=True)
    return "changed"
