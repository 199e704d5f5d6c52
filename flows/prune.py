"""The flow ``prune``: removes old rejected sets and unused replies, by a schedule or as a dry run."""

import asyncio
from datetime import UTC, datetime
from typing import Annotated

import httpx
from prefect import flow, get_run_logger
from prefect.artifacts import acreate_markdown_artifact
from prefect.client.schemas.objects import State
from prefect.states import Completed
from pydantic import Field

from engine.errors import StoreError
from engine.report.run_page import escape
from engine.settings import read_settings
from flows.observability.logs import ignore_closed_output, set_up_logs
from flows.retention.pruning import Pruned, prune_all
from flows.run.run_events import release_events, sending_heartbeats

Days = Annotated[int, Field(ge=1, le=36_500)]
# How many lines the run page shows; the log of the run's process has them all.
SHOWN_LINES = 200


@flow(name="prune", flow_run_name="prune")
async def prune(dry_run: bool = True, rejected_days: Days = 30) -> State[None]:
    """Removes what is old: rejected sets, replies of plans that nobody uses. Never an attached set.

    Args:
        dry_run: Only list what would be removed. The run page has the list.
        rejected_days: Rejected sets, and what dead runs left in the sample store, are removed when they are so many
            days old. Attached and detached sets always stay.
    """
    ignore_closed_output()
    await release_events(get_run_logger())
    settings = read_settings()
    set_up_logs(settings.log_format)
    lines: list[str] = []
    logger = get_run_logger()

    def note(line: str) -> None:
        lines.append(line)
        # There may be a hundred thousand, too many to send to Prefect's server.
        logger.info("%s", line, extra={"send_to_api": False})

    async with sending_heartbeats():
        pruned = await asyncio.to_thread(prune_all, settings, rejected_days, datetime.now(UTC), dry_run, note)
    logger.info("%s", pruned.describe())
    try:
        await acreate_markdown_artifact(key="pruned", markdown=write_page(pruned, lines), description=pruned.describe())
    except httpx.HTTPError as error:
        logger.warning("The list could not be put on the run page: %s", error)
    if pruned.failed:
        raise StoreError("Some things could not be removed. Run it again to retry.\n" + "\n".join(pruned.failed))
    return Completed(message=pruned.describe(), data=None)


def write_page(pruned: Pruned, lines: list[str]) -> str:
    """The markdown of the run page: the totals, what could not be done, and the first of the lines."""
    head = "# Dry run: nothing was removed" if pruned.dry_run else "# Pruned"
    sections = [head, pruned.describe() + "."]
    if pruned.failed:
        sections.append("\n".join(["**Not removed:**", "", *(f"- {escape(text)}" for text in pruned.failed)]))
    if pruned.busy:
        sections.append(
            f"Runs work on {', '.join(pruned.busy)}: the old sets of these models stay until the next time."
        )
    sections.append("\n".join(f"- {escape(line)}" for line in lines[:SHOWN_LINES]) or "Nothing is old enough.")
    if len(lines) > SHOWN_LINES:
        sections.append(f"And {len(lines) - SHOWN_LINES} more, which are in the log of the run's process.")
    return "\n\n".join(sections)
