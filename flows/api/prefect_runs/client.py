"""Prefect as the door asks it: which runs there are of a model, and for a new one; nothing is kept here."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
from prefect.client.orchestration import PrefectClient, get_client
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from engine.errors import OrchestratorError
from flows.runs.flow_runs import DUE_MARGIN, ENDED_TYPES, Run, read_run
from flows.runs.labels import DOOR_TAG, FLOW, LIVE_TYPES, TAGS_AT_ONCE, name_tag

DEPLOYMENT = f"{FLOW}/on-demand"
PAGE = 200
ENDED_SHOWN = 20
TIMEOUT_SECONDS = 5.0
PING_SECONDS = 2.0
ASKED_AT_ONCE = 12
REQUEST_LABEL = "exemplars.request"
UNSURE = (
    "Prefect's server went away while it was asked for a run. Whether the run was enqueued is not known: read the "
    "model when the server is back, or send the request again; it makes no second run."
)
# On SQLite twenty writers at once leave nineteen with an instant 503 (facts.md, "Prefect").
RETRY_SECONDS = 15.0
RETRY_STATUSES = frozenset({429, 502, 503})
_BROKEN = (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError)
# Prefect's server writes once more when it has made a run. On SQLite a request that comes into that is sent away, after
# up to two seconds: 32 runs took 57 s. From 20 ms on none was (docs/decisions/017-idempotency.md).
DISTANCE_SECONDS = 0.05


class _BusyServerError(Exception):
    """Prefect's server asks to come again in a moment."""


class _NoDeploymentError(OrchestratorError):
    """There is no such deployment, or none of that id any more."""


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
        self.turn = Turn()
        self._deployment_id = ""
        # Below the client's own pool of connections, where waiting ends in an error.
        self._slots = asyncio.Semaphore(ASKED_AT_ONCE)

    async def ping(self) -> None:
        """Whether the server answers at all, asked once: whoever asks for health does not wait long."""
        await self._ask("GET", "/health", timeout_seconds=PING_SECONDS)

    async def list_live(self, handles: Sequence[str]) -> dict[str, list[Run]]:
        """The live runs of each model, the newest first.

        Runs of the UI and of schedules have no tag before they begin: those are found among the newest live runs of
        all models, and where these fill a page an older one may be missed.
        """
        found = await self._filter_runs(LIVE_TYPES, {})
        if len(found) == PAGE:
            for part in _split(handles):
                found += await self._filter_runs(LIVE_TYPES, {"tags": {"any_": [name_tag(handle) for handle in part]}})
        live: dict[str, list[Run]] = {handle: [] for handle in handles}
        for run in {run.run_id: run for run in found}.values():
            if run.live and run.handle in live:
                live[run.handle].append(run)
        return live

    async def list_ended(self, handles: Sequence[str]) -> dict[str, list[Run]]:
        """The runs of each model that ended last."""
        ended: dict[str, list[Run]] = {handle: [] for handle in handles}
        for part in _split(handles):
            tags = [name_tag(handle) for handle in part]
            found = await self._filter_runs(ENDED_TYPES, {"tags": {"any_": tags}}, "END_TIME_DESC")
            for run in found:
                ended.setdefault(run.handle, []).append(run)
            if len(found) == PAGE:
                # The page was full: whoever is not on it may have older ones.
                missing = [handle for handle in part if not ended[handle]]
                ended |= dict(zip(missing, await asyncio.gather(*map(self._list_ended_of, missing)), strict=True))
        return ended

    async def find_newest(self, handle: str) -> Run | None:
        """The newest run of a model that was asked for over HTTP, live or over."""
        now = datetime.now(UTC)
        conditions = {"tags": {"all_": [name_tag(handle), DOOR_TAG]}, **_due_at(now)}
        found = await self._filter_runs((), conditions, limit=1)
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
        shares = {item["flow_run_id"]: _read_share(item["data"]) for item in reversed(answer)}
        return {run_id: share for run_id, share in shares.items() if share is not None}

    async def create_run(self, handle: str, synth_type: str, effort: str, key: str) -> Created:
        """Asks for the run of an idempotency key; every key stands for one run for ever. Whoever asks has the ``turn``.

        Raises:
            OrchestratorError: nothing was enqueued; UnsureError: that is not known.
        """
        request = uuid4().hex
        body = {
            "name": f"{handle} {synth_type}",
            "parameters": {"handle": handle, "synth_type": synth_type, "effort": effort},
            "tags": [name_tag(handle), DOOR_TAG],
            "labels": {REQUEST_LABEL: request},
            "idempotency_key": key,
        }
        async with self.turn.make():
            response = await self._ask_for_run(body)
        answer = response.json()
        # The run may be ours although it was there: when the first answer was lost on its way, and we asked again.
        ours = (answer.get("labels") or {}).get(REQUEST_LABEL) == request
        return Created(read_run(answer, datetime.now(UTC)), ours or response.status_code == httpx.codes.CREATED)

    async def _ask_for_run(self, body: object) -> httpx.Response:
        """The deployment's id is asked for once, and again where it has gone: whoever made it anew gave it another."""
        try:
            if self._deployment_id:
                return await self._ask_deployment(body)
        except _NoDeploymentError:
            pass
        self._deployment_id = (await self._ask("GET", f"/deployments/name/{DEPLOYMENT}")).json()["id"]
        return await self._ask_deployment(body)

    async def _ask_deployment(self, body: object) -> httpx.Response:
        return await self._ask("POST", f"/deployments/{self._deployment_id}/create_flow_run", body, changes=True)

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
            runs |= _due_at(now)
        body = {"flows": {"name": {"any_": [FLOW]}}, "flow_runs": runs, "sort": sort, "limit": limit}
        answer = await self._ask("POST", "/flow_runs/filter", body)
        return [read_run(item, now) for item in answer.json()]

    async def _ask(
        self,
        method: Any,
        path: Any,
        body: object = None,
        changes: bool = False,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> httpx.Response:
        """One request, again for a while where the server is busy or went away.

        Asking again for a run does no harm: it is asked for by its key. What was only to be read, and did not come in
        time, is not waited for twice.
        """
        unsure = False
        try:
            async for attempt in _make_retrying():
                with attempt:
                    try:
                        async with self._slots:
                            return await self._client.request(method, path, json=body, timeout=timeout_seconds)
                    except httpx.HTTPStatusError as error:
                        if error.response.status_code not in RETRY_STATUSES:
                            raise
                        if changes:
                            self.turn.keep_distance()
                        raise _BusyServerError(f"it is busy: {error.response.status_code}") from error
                    except (*_BROKEN, httpx.ReadTimeout) as error:
                        # A connection that was kept may have been closed by the server in this very moment.
                        if not changes and isinstance(error, httpx.ReadTimeout):
                            raise
                        unsure = changes
                        raise _BusyServerError(type(error).__name__) from error
        except (_BusyServerError, httpx.HTTPError) as error:
            raise _explain(error, str(path), unsure) from error
        raise AssertionError("tenacity returns or raises")


class Turn:
    """One request at a time looks for a model's newest run and makes its successor.

    Where the server sends some away, a distance is kept between two that make one.
    """

    def __init__(self, distance_seconds: float = DISTANCE_SECONDS) -> None:
        self._distance_seconds = distance_seconds
        self._keeps_distance = False
        self._lock = asyncio.Lock()
        self._made_at = time.monotonic()

    @asynccontextmanager
    async def take(self) -> AsyncIterator[None]:
        """Whoever is in the block has the turn."""
        async with self._lock:
            yield

    @asynccontextmanager
    async def make(self) -> AsyncIterator[None]:
        """Around the request that makes a run, by whoever has the turn."""
        if self._keeps_distance:
            await asyncio.sleep(self._made_at + self._distance_seconds - time.monotonic())
        try:
            yield
        finally:
            self._made_at = time.monotonic()

    def keep_distance(self) -> None:
        """From now on: this server is one that sends writers away."""
        self._keeps_distance = True


def _split(handles: Sequence[str]) -> list[Sequence[str]]:
    return [handles[start : start + TAGS_AT_ONCE] for start in range(0, len(handles), TAGS_AT_ONCE)]


def _due_at(now: datetime) -> dict[str, Any]:
    return {"expected_start_time": {"before_": (now + DUE_MARGIN).isoformat()}}


def _read_share(data: object) -> float | None:
    """A progress artifact's percentage as a share; None for what is none, since anybody may write one."""
    try:
        share = float(str(data)) / 100
    except ValueError:
        return None
    return round(share, 4) if 0 <= share <= 1 else None


def _make_retrying() -> AsyncRetrying:
    return AsyncRetrying(
        retry=retry_if_exception_type(_BusyServerError),
        stop=stop_after_delay(RETRY_SECONDS),
        wait=wait_random_exponential(multiplier=0.05, max=1.0),
        reraise=True,
    )


def _explain(error: Exception, path: str, unsure: bool) -> OrchestratorError:
    """In words that tell nothing of where the server stands."""
    if unsure:
        return UnsureError(UNSURE)
    if isinstance(error, httpx.HTTPStatusError):
        if error.response.status_code == httpx.codes.NOT_FOUND and path.startswith("/deployments/"):
            return _NoDeploymentError(
                f"Prefect's server has no deployment {DEPLOYMENT}. 'make serve' makes it, and so does "
                "'python -m flows.deploy'."
            )
        return OrchestratorError(f"Prefect's server answered {error.response.status_code} where it should not.")
    said = str(error) if isinstance(error, _BusyServerError) else type(error).__name__
    return OrchestratorError(f"Prefect's server does not answer ({said}).")
