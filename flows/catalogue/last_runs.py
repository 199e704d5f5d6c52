"""The last run of each model of a catalogue as Prefect knows it: also one that failed before it left a set."""

from collections.abc import Sequence

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.settings import PREFECT_API_URL

from engine.catalogue.condition import LastRun
from flows.run.flow_runs import ENDED_TYPES, Run, choose_operation
from flows.run.labels import FLOW, KEPT, LIVE_TYPES, RAISED, TAGS_AT_ONCE
from flows.run.newest_runs import list_newest

ENDED = {"state": {"type": {"any_": list(ENDED_TYPES)}}}
LIVE = {"state": {"type": {"any_": list(LIVE_TYPES)}}}


def read_last_runs(handles: Sequence[str]) -> tuple[dict[str, LastRun], tuple[str, ...]]:
    """The last run of each model that has any, by handle; and a note where Prefect could not be asked."""
    url = PREFECT_API_URL.value()
    if not url:
        return {}, ("No Prefect server is configured (PREFECT_API_URL): of runs only those are known that left a set.",)
    found: dict[str, LastRun] = {}
    try:
        with get_client(sync_client=True) as client:
            for start in range(0, len(handles), TAGS_AT_ONCE):
                found |= _read_some(client, handles[start : start + TAGS_AT_ONCE])
    except httpx.HTTPError as error:
        said = str(error) or type(error).__name__
        return {}, (
            f"Prefect's server at {url} does not answer ({said}): of runs only those are known that left a set.",
        )
    return found, ()


def _read_some(client: SyncPrefectClient, handles: Sequence[str]) -> dict[str, LastRun]:
    """A run that holds its model, or may, counts before one that has ended."""
    ended = [choose_operation((), runs) for runs in list_newest(client, (FLOW,), handles, ENDED, "END_TIME_DESC")]
    newest = list_newest(client, (FLOW,), handles, LIVE, "EXPECTED_START_TIME_DESC")
    live = [choose_operation([run for run in runs if run.live], ()) for runs in newest]
    return {run.handle: _describe(run) for run in (*ended, *live) if run is not None}


def _describe(run: Run) -> LastRun:
    return LastRun(
        run_id=run.run_id,
        status=run.status,
        at=run.started_at or run.ended_at,
        synth_type=run.synth_type,
        effort=run.effort,
        said=_shorten(run.message) if run.status == "failed" else "",
    )


def _shorten(message: str) -> str:
    """The message without Prefect's prefix, and without where on a machine something was kept."""
    said = message.removeprefix(RAISED).partition(": ")[2] if message.startswith(RAISED) else message
    return " ".join(line.strip() for line in said.splitlines() if KEPT not in line).strip()
