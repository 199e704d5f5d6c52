"""Prefect as the door asks it: which runs there are of a model, and for a new one; nothing is kept here."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
from prefect.client.orchestration import PrefectClient, get_client
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from engine.errors import OrchestratorError
from flows.api.runs import DUE_MARGIN, ENDED_TYPES, Run, read_run
from flows.marks import FLOW, LIVE_TYPES, name_tag

DEPLOYMENT = f"{FLOW}/on-demand"
# Runs that were asked for here: the chain of idempotency keys goes over these alone.
DOOR_TAG = "http"
PAGE = 200
ENDED_SHOWN = 20
TIMEOUT_SECONDS = 5.0
# On SQLite twenty writers at once leave nineteen with an instant 503 (facts.md, "Prefect").
RETRY_SECONDS = 15.0
RETRY_STATUSES = frozenset({429, 502, 503})


class _BusyServerError(Exception):
    """Prefect's server asks to come again in a moment."""


class UnsureError(OrchestratorError):
    """Prefect went away while it was asked for a run: whether there is one is not known."""


@dataclass(frozen=True, slots=True)
class Created:
    """The answer to a request for a run: the run of that key, and whether this very request made it."""

    run: Run
    new: bool


@asynccontextmanager
async def open_orchestrator() -> AsyncIterator["Orchestrator"]:
    """Prefect's server at ``PREFECT_API_URL``; it need not answer yet."""
    async with get_client(httpx_settings={"timeout": TIMEOUT_SECONDS}) as client:
        yield Orchestrator(client)


class Orchestrator:
    """Each method asks the server anew.

    Raises:
        OrchestratorError: it does not answer, or not as Prefect does.
    """

    def __init__(self, client: PrefectClient) -> None:
        self._client = client
        # Prefect's server makes one run at a time at best, and its SQLite sends all but one writer away.
        self._turn = asyncio.Lock()

    async def ping(self) -> None:
        """Whether the server answers at all."""
        await self._ask("GET", "/health")

    async def list_live(self, handles: Sequence[str]) -> dict[str, list[Run]]:
        """The live runs of each model, the newest first.

        Runs of the UI and of schedules have no tag before they begin: those are found among the newest live runs of
        all models, and where these fill a page an older one may be missed.
        """
        found = await self._filter_runs(LIVE_TYPES, {})
        if len(found) == PAGE:
            found += await self._filter_runs(LIVE_TYPES, {"tags": {"any_": [name_tag(handle) for handle in handles]}})
        live: dict[str, list[Run]] = {handle: [] for handle in handles}
        for run in {run.run_id: run for run in found}.values():
            if run.live and run.handle in live:
                live[run.handle].append(run)
        return live

    async def list_ended(self, handles: Sequence[str]) -> dict[str, list[Run]]:
        """The runs of each model that ended last."""
        tags = [name_tag(handle) for handle in handles]
        found = await self._filter_runs(ENDED_TYPES, {"tags": {"any_": tags}}, "END_TIME_DESC")
        ended: dict[str, list[Run]] = {handle: [] for handle in handles}
        for run in found:
            ended.setdefault(run.handle, []).append(run)
        if len(found) == PAGE:
            # The page was full: whoever is not on it may have older ones.
            missing = [handle for handle in handles if not ended[handle]]
            ended |= dict(zip(missing, await asyncio.gather(*map(self._list_ended_of, missing)), strict=True))
        return ended

    async def find_newest(self, handle: str) -> Run | None:
        """The newest run of a model that was asked for over HTTP, live or not."""
        found = await self._filter_runs((), {"tags": {"all_": [name_tag(handle), DOOR_TAG]}}, limit=1)
        return found[0] if found else None

    async def find_run(self, run_id: str) -> Run | None:
        """The run of that id, whatever became of it."""
        found = await self._filter_runs((), {"id": {"any_": [run_id]}}, limit=1)
        return found[0] if found else None

    async def read_progress(self, run_ids: Sequence[str]) -> dict[str, float]:
        """The share that is done of each run that says so, from 0 to 1."""
        if not run_ids:
            return {}
        body = {
            "artifacts": {"type": {"any_": ["progress"]}, "flow_run_id": {"any_": list(run_ids)}},
            "sort": "UPDATED_DESC",
            "limit": PAGE,
        }
        answer = (await self._ask("POST", "/artifacts/filter", body)).json()
        # The newest comes last here, and wins: a run that was retried has several.
        return {item["flow_run_id"]: round(min(1.0, float(item["data"]) / 100), 4) for item in reversed(answer)}

    async def create_run(self, handle: str, synth_type: str, effort: str, key: str) -> Created:
        """Asks for the run of an idempotency key; every key stands for one run for ever.

        Raises:
            OrchestratorError: nothing was enqueued; UnsureError: that is not known.
        """
        deployment = (await self._ask("GET", f"/deployments/name/{DEPLOYMENT}")).json()["id"]
        body = {
            "name": f"{handle} {synth_type}",
            "parameters": {"handle": handle, "synth_type": synth_type, "effort": effort},
            "tags": [name_tag(handle), DOOR_TAG],
            "idempotency_key": key,
        }
        async with self._turn:
            answer = await self._ask("POST", f"/deployments/{deployment}/create_flow_run", body, changes=True)
        return Created(read_run(answer.json(), datetime.now(UTC)), answer.status_code == httpx.codes.CREATED)

    async def _list_ended_of(self, handle: str) -> list[Run]:
        tags = {"tags": {"all_": [name_tag(handle)]}}
        return await self._filter_runs(ENDED_TYPES, tags, "END_TIME_DESC", ENDED_SHOWN)

    async def _filter_runs(
        self,
        types: Sequence[str],
        conditions: Mapping[str, Any],
        sort: str = "EXPECTED_START_TIME_DESC",
        limit: int = PAGE,
    ) -> list[Run]:
        now = datetime.now(UTC)
        runs = dict(conditions)
        if types:
            runs["state"] = {"type": {"any_": list(types)}}
        if types == LIVE_TYPES:
            runs["expected_start_time"] = {"before_": (now + DUE_MARGIN).isoformat()}
        body = {"flows": {"name": {"any_": [FLOW]}}, "flow_runs": runs, "sort": sort, "limit": limit}
        answer = await self._ask("POST", "/flow_runs/filter", body)
        return [read_run(item, now) for item in answer.json()]

    async def _ask(self, method: Any, path: Any, body: object = None, changes: bool = False) -> httpx.Response:
        """One request, again for a while where the server is busy or went away in the middle.

        Asking again does no harm: the rest only reads, and a run is asked for by its key.
        """
        unsure = False
        try:
            async for attempt in _make_retrying():
                with attempt:
                    try:
                        return await self._client.request(method, path, json=body)
                    except httpx.HTTPStatusError as error:
                        if error.response.status_code not in RETRY_STATUSES:
                            raise
                        raise _BusyServerError(str(error)) from error
                    except (httpx.ReadError, httpx.RemoteProtocolError, httpx.ReadTimeout) as error:
                        unsure = changes
                        raise _BusyServerError(str(error) or type(error).__name__) from error
        except (_BusyServerError, httpx.HTTPError) as error:
            raise _explain(error, str(path), unsure) from error
        raise AssertionError("tenacity returns or raises")


def _make_retrying() -> AsyncRetrying:
    return AsyncRetrying(
        retry=retry_if_exception_type(_BusyServerError),
        stop=stop_after_delay(RETRY_SECONDS),
        wait=wait_random_exponential(multiplier=0.05, max=1.0),
        reraise=True,
    )


def _explain(error: Exception, path: str, unsure: bool) -> OrchestratorError:
    if unsure:
        return UnsureError(
            "Prefect's server went away while it was asked for a run. Whether the run was enqueued is not known: read "
            "the model when the server is back, or send the request again; it makes no second run"
        )
    if isinstance(error, httpx.HTTPStatusError):
        if error.response.status_code == httpx.codes.NOT_FOUND and DEPLOYMENT in path:
            return OrchestratorError(
                f"Prefect's server has no deployment {DEPLOYMENT}, so nothing was enqueued. 'make serve' makes it, and "
                "so does 'python -m flows.deploy'"
            )
        said = f"answered {error.response.status_code} to {path}"
    else:
        said = f"does not answer ({str(error) or type(error).__name__})"
    return OrchestratorError(f"Prefect's server {said}. Nothing was enqueued; ask again later")
