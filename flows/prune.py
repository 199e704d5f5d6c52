"""The flow that prunes: what is old and of no use goes, by a schedule; a dry run only says what would."""

import asyncio
import logging
from datetime import UTC, datetime
from typing import Annotated, Any

import httpx
from prefect import flow, get_run_logger
from prefect.artifacts import acreate_markdown_artifact
from pydantic import Field

from engine.errors import StoreError
from engine.report.run_page import escape
from engine.settings import read_settings
from flows.observability.logs import outlive_listeners, set_up_logs
from flows.retention.pruning import Ages, Pruned, prune_all
from flows.runtime.schedule_events import release_events

Days = Annotated[int, Field(ge=1, le=36_500)]
# The log has them all; a page that is to be read has so many.
SHOWN_LINES = 200


@flow(name="prune", flow_run_name="prune")
async def prune(dry_run: bool = True, rejected_days: Days = 30, runs_days: Days = 90) -> None:
    """Takes away what is old: rejected sets, replies of plans that nobody uses, finished runs. Never an attached set.

    Args:
        dry_run: Only say what would go. The run page has the list.
        rejected_days: Rejected sets, and what dead runs have left in the sample store, go when they were written so
            many days ago. Attached and detached sets stay, whatever their age.
        runs_days: Finished flow runs go when they ended so many days ago, but for the one that each model's state is
            read from and the one that its next request is chained to.
    """
    outlive_listeners()
    await release_events(get_run_logger())
    settings = read_settings()
    set_up_logs(settings.log_format)
    lines = _Lines(get_run_logger())
    ages = Ages(rejected_days, runs_days)
    pruned = await asyncio.to_thread(prune_all, settings, ages, datetime.now(UTC), dry_run, lines.tell)
    get_run_logger().info("%s", pruned.describe())
    try:
        await acreate_markdown_artifact(
            key="pruned", markdown=write_page(pruned, lines.shown, lines.count), description=pruned.describe()
        )
    except httpx.HTTPError as error:
        get_run_logger().warning("The run page lacks its list: %s", error)
    if pruned.failed:
        raise StoreError("Not all could be pruned; a second start goes on from there.\n" + "\n".join(pruned.failed))


def write_page(pruned: Pruned, lines: list[str], count: int) -> str:
    """The markdown of the run page: the sums, what could not be done, and the first of the lines."""
    head = "# A dry run: nothing was taken away" if pruned.dry_run else "# Pruned"
    sections = [head, pruned.describe() + "."]
    if pruned.failed:
        sections.append("\n".join(["**Could not be done:**", "", *(f"- {escape(text)}" for text in pruned.failed)]))
    if pruned.busy:
        sections.append(f"A run works on {', '.join(pruned.busy)}: theirs go the next time.")
    sections.append("\n".join(f"- {escape(line)}" for line in lines) or "Nothing is old enough.")
    if count > len(lines):
        sections.append(f"And {count - len(lines)} more, which the log of the run's process names.")
    return "\n\n".join(sections)


class _Lines:
    """The lines of a pruning: the first on the run page and in its log, all of them in the log of the process.

    There may be a hundred thousand, which Prefect's server need not keep.
    """

    def __init__(self, run_logger: logging.Logger | logging.LoggerAdapter[Any]) -> None:
        self.shown: list[str] = []
        self.count = 0
        self._run_logger = run_logger

    def tell(self, line: str) -> None:
        """Takes one line."""
        self.count += 1
        if self.count <= SHOWN_LINES:
            self.shown.append(line)
            self._run_logger.info("%s", line)
        else:
            self._run_logger.info("%s", line, extra={"send_to_api": False})
