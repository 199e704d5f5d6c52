"""Old runs: finished flow runs are deleted from Prefect by their age, but for those that something still hangs on.

Of each model two stay whatever their age: the run that the door shows as ``last_operation``, from which the state
``failed`` comes, and the newest that was asked for over HTTP, from which the key of the next one is made
(docs/decisions/017-idempotency.md). Without that one its key would be free, and two requests at one instant could make
two runs.
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
# What Prefect's server deletes at a time.
DELETED_AT_ONCE = 50
Conditions = Mapping[str, Any]


@dataclass(slots=True)
class PrunedRuns:
    """How many were deleted, or would be, and how many old ones stay."""

    deleted: int = 0
    kept: int = 0


def prune_runs(client: SyncPrefectClient, before: datetime, dry_run: bool, tell: Callable[[str], None]) -> PrunedRuns:
    """Deletes the runs of our flows that ended before a moment, page by page, the oldest first; tells of each.

    Raises:
        OrchestratorError: Prefect does not answer as it should. What was deleted by then is, and a second start goes
            on from there.
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
                tell(f"run {run.run_id} of {run.handle or 'no model'}: {run.status}, ended {_tell_day(run.ended_at)}")
            pruned.kept += len(page) - gone
            # What is still there lies before what is yet to be looked at.
            skipped += len(page) if dry_run else len(page) - gone
    except httpx.HTTPError as error:
        raise OrchestratorError(
            f"Prefect's server does not answer as it should: {error or type(error).__name__}. {pruned.deleted} runs "
            f"{'would be' if dry_run else 'were'} deleted until then; start again when it does"
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
    """The newest runs of each of some models that has any."""
    found: dict[str, list[Run]] = {handle: [] for handle in handles}
    page = _filter_runs(client, _add_tags(conditions, "any_", handles), sort)
    for run in page:
        found.setdefault(run.handle, []).append(run)
    for handle, runs in found.items():
        if runs:
            yield runs
        elif len(page) == PAGE and (own := _filter_runs(client, _add_tags(conditions, "all_", [handle]), sort, 20)):
            # The page was full of the others'.
            yield own


def _add_tags(conditions: Conditions, how: str, handles: Sequence[str]) -> Conditions:
    before = conditions.get("tags", {})
    tags = [*before.get(how, ()), *map(name_tag, handles)]
    return {**conditions, "tags": {**before, how: tags}}


def _delete(client: SyncPrefectClient, runs: Sequence[Run], conditions: Conditions) -> Iterator[Run]:
    """Those that were deleted: the server looks once more whether each is over, since one may have begun again."""
    for part in (runs[start : start + DELETED_AT_ONCE] for start in range(0, len(runs), DELETED_AT_ONCE)):
        body = {"flow_runs": {**conditions, "id": {"any_": [run.run_id for run in part]}}, "limit": DELETED_AT_ONCE}
        deleted = set(_ask(client, "/flow_runs/bulk_delete", body)["deleted"])
        yield from (run for run in part if run.run_id in deleted)


def _filter_runs(
    client: SyncPrefectClient, conditions: Conditions, sort: str, limit: int = PAGE, offset: int = 0
) -> list[Run]:
    body = {"flows": {"name": {"any_": list(FLOWS)}}, "flow_runs": conditions, "sort": sort}
    now = datetime.now(UTC)
    return [
        read_run(item, now) for item in _ask(client, "/flow_runs/filter", {**body, "limit": limit, "offset": offset})
    ]


def _ask(client: SyncPrefectClient, path: Any, body: Mapping[str, Any]) -> Any:
    response = client.request("POST", path, json=body)
    response.raise_for_status()
    return response.json()


def _tell_day(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d}" if moment else "at no time"
