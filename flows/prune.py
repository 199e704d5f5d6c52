"""The flow ``prune``: removes old rejected sets and unused replies, by a schedule or as a dry run."""

import asyncio
import logging
from datetime import UTC, datetime
from typing import Annotated, Any

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
# How many lines the run page shows; the log has them all.
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
    lines = _Lines(get_run_logger())
    async with sending_heartbeats():
        pruned = await asyncio.to_thread(prune_all, settings, rejected_days, datetime.now(UTC), dry_run, lines.add)
    get_run_logger().info("%s", pruned.describe())
    try:
        await acreate_markdown_artifact(
            key="pruned", markdown=write_page(pruned, lines.shown, lines.count), description=pruned.describe()
        )
    except httpx.HTTPError as error:
        get_run_logger().warning("The list could not be put on the run page: %s", error)
    if pruned.failed:
        raise StoreError("Some things could not be removed. Run it again to retry.\n" + "\n".join(pruned.failed))
    return Completed(message=pruned.describe(), data=None)


def write_page(pruned: Pruned, lines: list[str], count: int) -> str:
    """The markdown of the run page: the totals, what could not be done, and the first lines of ``count``."""
    head = "# Dry run: nothing was removed" if pruned.dry_run else "# Pruned"
    sections = [head, pruned.describe() + "."]
    if pruned.failed:
        sections.append("\n".join(["**Not removed:**", "", *(f"- {escape(text)}" for text in pruned.failed)]))
    if pruned.busy:
        sections.append(
            f"Runs work on {', '.join(pruned.busy)}: the old sets of these models stay until the next time."
        )
    sections.append("\n".join(f"- {escape(line)}" for line in lines) or "Nothing is old enough.")
    if count > len(lines):
        sections.append(f"And {count - len(lines)} more, which are in the log of the run's process.")
    return "\n\n".join(sections)


class _Lines:
    """Collects the lines of a pruning: the first go to the run page and its log, all go to the log of the process.

    There may be a hundred thousand, too many to send to Prefect's server.
    """

    def __init__(self, run_logger: logging.Logger | logging.LoggerAdapter[Any]) -> None:
        self.shown: list[str] = []
        self.count = 0
        self._run_logger = run_logger

    def add(self, line: str) -> None:
        """Logs one line, and keeps it if it is one of the first."""
        self.count += 1
        if self.count <= SHOWN_LINES:
            self.shown.append(line)
            self._run_logger.info("%s", line)
        else:
            self._run_logger.info("%s", line, extra={"send_to_api": False})
