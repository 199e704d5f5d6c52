"""Sets up alerts: a webhook block and an automation on the server that report failed nightly runs to an address."""

from prefect.blocks.webhook import Webhook
from prefect.client.orchestration import SyncPrefectClient
from prefect.exceptions import ObjectNotFound
from prefect.settings import get_current_settings
from pydantic import SecretStr

from flows.deploy.automations import ensure_automation, name_alert, read_alert

BLOCK, BLOCK_TYPE = "exemplars-alert", "webhook"


def ensure_alerts(client: SyncPrefectClient, address: SecretStr | None) -> str:
    """Makes or updates the alerts to the address, and returns how they are as a phrase without the address.

    Without an address nothing is made, and alerts that were set up before stay, since others may rely on them.
    """
    if address is None:
        if not client.read_automations_by_name(name_alert()):
            return "off (EXEMPLARS_ALERT_URL is not set)"
        return (
            "unchanged since they were set up before (EXEMPLARS_ALERT_URL is not set now). To end them: "
            f"prefect automation delete '{name_alert()}' and prefect block delete {BLOCK_TYPE}/{BLOCK}"
        )
    _ensure_block(client, address)
    document = client.read_block_document_by_name(BLOCK, BLOCK_TYPE)
    ui = (get_current_settings().ui_url or "").rstrip("/")
    ensure_automation(client, read_alert(document.id, ui))
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
