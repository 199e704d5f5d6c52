"""Sets up alerts: a webhook block and an automation on the server that report failed nightly runs to an address."""

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
# A crash may be reported twice, by the ending run itself and by its worker; within this time only one alert is sent.
SAME_SECONDS = 60
# Chat programs show `text`; the other fields are for programs. Prefect's server fills the templates in and encodes the
# values as JSON, whatever they contain.
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
    """Makes or updates the alerts to the address, and returns what it did as a phrase without the address.

    Without an address nothing is made, and alerts that were set up before stay, since others may rely on them.
    """
    if address is None:
        if not client.read_automations_by_name(AUTOMATION):
            return "off (EXEMPLARS_ALERT_URL is not set)"
        return (
            "unchanged since they were set up before (EXEMPLARS_ALERT_URL is not set now). To end them: "
            f"prefect automation delete '{AUTOMATION}' and prefect block delete {BLOCK_TYPE}/{BLOCK}"
        )
    block = _ensure_block(client, address)
    document = client.read_block_document_by_name(BLOCK, BLOCK_TYPE)
    automation = ensure_automation(
        client, describe_alert(CallWebhook(block_document_id=document.id, payload=make_payload()))
    )
    return f"webhook {block}, automation {automation}"


def describe_alert(action: CallWebhook) -> AutomationCore:
    """The automation for failed and crashed runs of our nightly deployments.

    The runs that a backfill makes for its models have no deployment, so they are not reported.
    """
    related = (
        *({"prefect.resource.role": "tag", "prefect.resource.id": f"prefect.tag.{tag}"} for tag in TAGS),
        {"prefect.resource.role": "deployment", "prefect.resource.id": "prefect.deployment.*"},
    )
    trigger = EventTrigger(
        type="event",
        posture=Posture.Reactive,
        # By the type of the state: its name may differ, as with TimedOut.
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


def make_payload() -> str:
    """The template of the alert's body; its link leads to the UI at the address that the deploy step uses."""
    ui = (get_current_settings().ui_url or "").rstrip("/")
    fields = ", ".join(f"{json.dumps(name)}: {{{{ ({words}) | tojson }}}}" for name, words in PAYLOAD.items())
    return f"{{% set url = {json.dumps(f'{ui}/runs/flow-run/')} ~ flow_run.id %}}{{{fields}}}"


def _ensure_block(client: SyncPrefectClient, address: SecretStr) -> str:
    """Makes or updates the block with the address; other fields that people have set in it, such as headers, stay."""
    try:
        found = client.read_block_document_by_name(BLOCK, BLOCK_TYPE, include_secrets=True)
    except ObjectNotFound:
        Webhook(url=address, headers={"Content-Type": "application/json"}).save(BLOCK, overwrite=True)
        return "made"
    if found.data.get("url") == address.get_secret_value():
        return "there"
    Webhook(**{**found.data, "url": address}).save(BLOCK, overwrite=True)
    return "changed"
