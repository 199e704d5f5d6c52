"""Deletes finished flow runs from Prefect by their age, except those that are still needed.

Of each model two runs stay whatever their age: the run that the HTTP door shows as ``last_operation``, from which the
state ``failed`` comes, and the newest run that was requested over HTTP, from which the next run's idempotency key is
derived (docs/decisions/017-idempotency.md). Without the latter, two requests at one instant could make two runs.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
from prefect.client.orchestration import SyncPrefectClient

from engine.errors import OrchestratorError
from flows.runs.flow_runs import ENDED_TYPES, Run, choose_operation, read_run
from flows.runs.labels import DOOR_TAG, TAGS_AT_ONCE, name_tag

FLOWS = ("synthesize", "backfill", "prune")
PAGE = 200
# How many runs Prefect's server deletes in one request.
DELETED_AT_ONCE = 50
Conditions = Mapping[str, Any]


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
        while page := _filter_runs(client, old, "EXPECTED_START_TIME_ASC", PAGE, skipped):
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
        for runs in _list_newest(client, part, {"state": {"type": {"any_": list(ENDED_TYPES)}}}, "END_TIME_DESC"):
            shown = choose_operation((), runs)
            needed |= {shown.run_id} if shown else set()
        asked_for = {"tags": {"all_": [DOOR_TAG]}}
        for runs in _list_newest(client, part, asked_for, "EXPECTED_START_TIME_DESC"):
            needed.add(runs[0].run_id)
    return needed


def _list_newest(
    client: SyncPrefectClient, handles: Sequence[str], conditions: Conditions, sort: str
) -> Iterator[list[Run]]:
    """The newest runs of each of the models that has any."""
    found: dict[str, list[Run]] = {handle: [] for handle in handles}
    page = _filter_runs(client, _add_tags(conditions, "any_", handles), sort)
    for run in page:
        found.setdefault(run.handle, []).append(run)
    for handle, runs in found.items():
        if runs:
            yield runs
        elif len(page) == PAGE and (own := _filter_runs(client, _add_tags(conditions, "all_", [handle]), sort, 20)):
            # The page was full of other models' runs.
            yield own


def _add_tags(conditions: Conditions, how: str, handles: Sequence[str]) -> Conditions:
    before = conditions.get("tags", {})
    tags = [*before.get(how, ()), *map(name_tag, handles)]
    return {**conditions, "tags": {**before, how: tags}}


def _delete(client: SyncPrefectClient, runs: Sequence[Run], conditions: Conditions) -> Iterator[Run]:
    """Yields the runs that were deleted. The server checks the conditions again, since a run may have been retried."""
    for part in (runs[start : start + DELETED_AT_ONCE] for start in range(0, len(runs), DELETED_AT_ONCE)):
        body = {"flow_runs": {**conditions, "id": {"any_": [run.run_id for run in part]}}, "limit": DELETED_AT_ONCE}
        deleted = set(_post(client, "/flow_runs/bulk_delete", body)["deleted"])
        yield from (run for run in part if run.run_id in deleted)


def _filter_runs(
    client: SyncPrefectClient, conditions: Conditions, sort: str, limit: int = PAGE, offset: int = 0
) -> list[Run]:
    body = {"flows": {"name": {"any_": list(FLOWS)}}, "flow_runs": conditions, "sort": sort}
    now = datetime.now(UTC)
    return [
        read_run(item, now) for item in _post(client, "/flow_runs/filter", {**body, "limit": limit, "offset": offset})
    ]


def _post(client: SyncPrefectClient, path: Any, body: Mapping[str, Any]) -> Any:
    response = client.request("POST", path, json=body)
    response.raise_for_status()
    return response.json()


def _format_day(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d}" if moment else "at no time"
