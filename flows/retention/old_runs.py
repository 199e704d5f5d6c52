"""Deletes finished flow runs from Prefect by their age, except those that are still needed.

Of each model two runs stay whatever their age: the run that the HTTP door shows as ``last_operation``, from which the
state ``failed`` comes, and the newest run that was requested over HTTP, from which the next run's idempotency key is
derived (docs/decisions/017-idempotency.md). Without the latter, two requests at one instant could make two runs.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import httpx
from prefect.client.orchestration import SyncPrefectClient

from engine.errors import OrchestratorError
from flows.run.flow_runs import ENDED_TYPES, Run, choose_operation
from flows.run.labels import DOOR_TAG, TAGS_AT_ONCE
from flows.run.newest_runs import PAGE, Conditions, filter_runs, list_newest, post

FLOWS = ("synthesize", "backfill", "prune", "catalogue")
# How many runs Prefect's server deletes in one request.
DELETED_AT_ONCE = 50


@dataclass(slots=True)
class PrunedRuns:
    """How many old runs were deleted, or would be in a dry run, and how many stay."""

    deleted: int = 0
    kept: int = 0


def prune_runs(client: SyncPrefectClient, before: datetime, dry_run: bool, report: Callable[[str], None]) -> PrunedRuns:
    """Deletes the runs of our flows that ended before a moment, the oldest first, and reports each in a line.

    Raises:
        OrchestratorError: Prefect's server does not answer as expected. What was deleted by then stays deleted, and
            another call continues from there.
    """
    pruned, skipped = PrunedRuns(), 0
    old = {"state": {"type": {"any_": list(ENDED_TYPES)}}, "end_time": {"before_": before.isoformat()}}
    try:
        while page := filter_runs(client, FLOWS, old, "EXPECTED_START_TIME_ASC", PAGE, skipped):
            needed = find_needed(client, [run.handle for run in page if run.handle])
            chosen = [run for run in page if run.run_id not in needed]
            gone = 0
            for run in chosen if dry_run else _delete(client, chosen, old):
                gone += 1
                pruned.deleted += 1
                report(
                    f"run {run.run_id} of {run.handle or 'no model'}: {run.status}, ended {_format_day(run.ended_at)}"
                )
            pruned.kept += len(page) - gone
            # Runs that stay come before the next page, so the offset grows by their number.
            skipped += len(page) if dry_run else len(page) - gone
    except httpx.HTTPError as error:
        raise OrchestratorError(
            f"Prefect's server does not answer as it should: {error or type(error).__name__}. Until then "
            f"{pruned.deleted} runs {'would have been' if dry_run else 'were'} deleted. Start again when it works"
        ) from error
    return pruned


def find_needed(client: SyncPrefectClient, handles: Sequence[str]) -> set[str]:
    """The ids of the runs of these models that must stay."""
    needed: set[str] = set()
    every = list(dict.fromkeys(handles))
    for part in (every[start : start + TAGS_AT_ONCE] for start in range(0, len(every), TAGS_AT_ONCE)):
        for runs in list_newest(client, FLOWS, part, {"state": {"type": {"any_": list(ENDED_TYPES)}}}, "END_TIME_DESC"):
            shown = choose_operation((), runs)
            needed |= {shown.run_id} if shown else set()
        asked_for = {"tags": {"all_": [DOOR_TAG]}}
        for runs in list_newest(client, FLOWS, part, asked_for, "EXPECTED_START_TIME_DESC"):
            needed.add(runs[0].run_id)
    return needed


def _delete(client: SyncPrefectClient, runs: Sequence[Run], conditions: Conditions) -> Iterator[Run]:
    """Yields the runs that were deleted. The server checks the conditions again, since a run may have been retried."""
    for part in (runs[start : start + DELETED_AT_ONCE] for start in range(0, len(runs), DELETED_AT_ONCE)):
        body = {"flow_runs": {**conditions, "id": {"any_": [run.run_id for run in part]}}, "limit": DELETED_AT_ONCE}
        deleted = set(post(client, "/flow_runs/bulk_delete", body)["deleted"])
        yield from (run for run in part if run.run_id in deleted)


def _format_day(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d}" if moment else "at no time"
