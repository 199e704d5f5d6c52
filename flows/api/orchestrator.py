"""Find and create the runs of models on Prefect's server; nothing about runs is cached."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
from prefect.client.orchestration import PrefectClient
from tenacity import AsyncRetrying, retry_if_exception, stop_after_delay, wait_random_exponential

from engine.domain.run_request import RunRequest
from engine.errors import OrchestratorError
from flows.run.flow_runs import DUE_MARGIN, ENDED_TYPES, Run, read_run
from flows.run.labels import FLOW, HTTP_TAG, LIVE_TYPES, REVIEW, TAGS_AT_ONCE, name_tag
from flows.run.lease.slot import lock_model

# Default address of Prefect's server: 'make serve' starts it there.
DEFAULT_PREFECT = "http://127.0.0.1:4200/api"
DEPLOYMENT = f"{FLOW}/on-demand"
REVIEW_DEPLOYMENT = f"{REVIEW}/on-demand"
PAGE = 200
ENDED_SHOWN = 20
TIMEOUT_SECONDS = 5.0
PING_SECONDS = 2.0
MAX_CONCURRENT_REQUESTS = 12
REQUEST_LABEL = "exemplars.request"
# On SQLite, of twenty simultaneous writers nineteen get an instant 503 (docs/decisions/000-measured.md).
RETRY_SECONDS = 15.0
RETRY_STATUSES = frozenset({429, 502, 503})
# After it has created a run, Prefect's server writes once more. On SQLite a request that arrives during that write is
# refused after up to two seconds: 32 runs took 57 s. With 20 ms or more between two runs none was refused
# (docs/decisions/009-http.md).
SPACING_SECONDS = 0.05
UNSURE = (
    "Prefect's server went away while the run was being enqueued. Whether it was enqueued is not known: read the model "
    "when the server is back, or send the request again, which makes no second run."
)
_BROKEN = (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError)


class UnsureError(OrchestratorError):
    """Prefect's server went away while a run was being created, so it is not known whether the run exists."""


class Orchestrator:
    """Find the runs of models on Prefect's server, and create new ones; every method sends a request.

    The caller holds ``creation_lock`` while it looks up a model's newest run and creates its successor.

    Args:
        retry_seconds: how long a request is repeated while the server is busy or away.

    Raises:
        OrchestratorError: from every method, if the server does not answer.
    """

    def __init__(self, client: PrefectClient, retry_seconds: float = RETRY_SECONDS) -> None:
        self._client = client
        self._retry_seconds = retry_seconds
        # Prefect's server creates at best one run at a time, and on SQLite it refuses all writers except one.
        self.creation_lock = asyncio.Lock()
        self._created_at = 0.0
        # Fewer slots than connections in the client's pool: waiting for a connection ends in an error.
        self._slots = asyncio.Semaphore(MAX_CONCURRENT_REQUESTS)

    async def ping(self) -> None:
        """Check that the server answers, within ``PING_SECONDS``, for the health endpoint."""
        await self._request("GET", "/health", timeout_seconds=PING_SECONDS)

    async def list_live(self, handles: Sequence[str]) -> dict[str, list[Run]]:
        """Return the live runs of each model, the newest first.

        Runs from the UI and from schedules have no tag before they begin. They are found among the newest live runs of
        all models; if these fill a page, an older run may be missed.
        """
        listed = await self._filter_runs(LIVE_TYPES, {})
        if len(listed) == PAGE:
            for part in _split(handles):
                listed += await self._filter_runs(LIVE_TYPES, {"tags": {"any_": [name_tag(handle) for handle in part]}})
        live: dict[str, list[Run]] = {handle: [] for handle in handles}
        for run in {run.run_id: run for run in listed}.values():
            if run.live and run.handle in live:
                live[run.handle].append(run)
        return live

    async def list_ended(self, handles: Sequence[str]) -> dict[str, list[Run]]:
        """Return the ended runs of each model, the last one first."""
        ended: dict[str, list[Run]] = {handle: [] for handle in handles}
        for part in _split(handles):
            any_tag = {"tags": {"any_": [name_tag(handle) for handle in part]}}
            listed = await self._filter_runs(ENDED_TYPES, any_tag, "END_TIME_DESC")
            for run in listed:
                ended.setdefault(run.handle, []).append(run)
            if len(listed) == PAGE:
                # The page was full: a model without runs on this page may have older ones.
                missing = [handle for handle in part if not ended[handle]]
                single_tags = [{"tags": {"all_": [name_tag(handle)]}} for handle in missing]
                requests = [self._filter_runs(ENDED_TYPES, tag, "END_TIME_DESC", ENDED_SHOWN) for tag in single_tags]
                ended |= dict(zip(missing, await asyncio.gather(*requests), strict=True))
        return ended

    async def find_newest(self, handle: str) -> Run | None:
        """Return the newest run of a model that was requested over HTTP, live or ended; None if there is none."""
        conditions = {"tags": {"all_": [name_tag(handle), HTTP_TAG]}, **_due_at(datetime.now(UTC))}
        return next(iter(await self._filter_runs((), conditions, limit=1)), None)

    async def find_run(self, run_id: str) -> Run | None:
        """Return the run with an id, which must be a UUID; None if Prefect has no such run."""
        return next(iter(await self._filter_runs((), {"id": {"any_": [run_id]}}, limit=1)), None)

    async def read_progress(self, run_ids: Sequence[str]) -> dict[str, float]:
        """Return the progress in [0, 1] of each run that has published any, by run id."""
        progress: dict[str, float] = {}
        # A retried run may have two artifacts; the newest comes last here and wins.
        for part in _split(run_ids, PAGE // 2):
            conditions = {"type": {"any_": ["progress"]}, "flow_run_id": {"any_": list(part)}}
            body = {"artifacts": conditions, "sort": "UPDATED_DESC", "limit": PAGE}
            answer = (await self._request("POST", "/artifacts/filter", body)).json()
            progress |= {item["flow_run_id"]: round(float(item["data"]) / 100, 4) for item in reversed(answer)}
        return progress

    async def create_run(self, handle: str, synth_type: str, effort: str, key: str) -> tuple[Run, bool]:
        """Create the run of an idempotency key, or return the existing run: a key always identifies the same run.

        The caller must hold ``creation_lock``.

        Returns:
            The run, and whether this request created it.

        Raises:
            UnsureError: it is not known whether the run was enqueued.
            OrchestratorError: nothing was enqueued.
        """
        request = uuid4().hex
        body = {
            "name": f"{handle} {synth_type}",
            # All parameters are sent, so that the deployment's defaults never apply.
            "parameters": asdict(RunRequest.take({"handle": handle, "synth_type": synth_type, "effort": effort})),
            "tags": [name_tag(handle), HTTP_TAG],
            "labels": {REQUEST_LABEL: request},
            "idempotency_key": key,
        }
        await asyncio.sleep(self._created_at + SPACING_SECONDS - time.monotonic())
        try:
            response = await self._create(DEPLOYMENT, body)
        finally:
            self._created_at = time.monotonic()
        answer = response.json()
        # The status alone is not enough: the server answers two simultaneous requests both with 201, and a request that
        # is sent again, because its first response was lost, with 200.
        creator = (answer.get("labels") or {}).get(REQUEST_LABEL)
        is_new = creator == request if creator else response.status_code == httpx.codes.CREATED
        return read_run(answer, datetime.now(UTC)), is_new

    async def create_review(self, parameters: Mapping[str, Any]) -> str:
        """Enqueue a run of ``review/on-demand``, and return its id."""
        # A request that is sent again, because its answer was lost, creates no second run.
        body = {"parameters": dict(parameters), "idempotency_key": uuid4().hex}
        return str((await self._create(REVIEW_DEPLOYMENT, body)).json()["id"])

    def lock_model(self, handle: str) -> AbstractContextManager[None]:
        """Hold the model's slot inside the block, so that new runs of the model wait; this blocks the thread.

        Raises:
            ModelBusyError: a run works on the model, or begins to.
        """
        return lock_model(handle, "Nothing was changed")

    async def _create(self, deployment: str, body: object) -> httpx.Response:
        answer = (await self._request("GET", f"/deployments/name/{deployment}")).json()
        return await self._request("POST", f"/deployments/{answer['id']}/create_flow_run", body, changes=True)

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
        # A review run also holds the model's lease, but an ended one is not shown as an operation on the model.
        flows = [FLOW] if types == ENDED_TYPES else [FLOW, REVIEW]
        body = {"flows": {"name": {"any_": flows}}, "flow_runs": runs, "sort": sort, "limit": limit}
        answer = await self._request("POST", "/flow_runs/filter", body)
        return [read_run(item, now) for item in answer.json()]

    async def _request(
        self,
        method: Any,
        path: Any,
        body: object = None,
        changes: bool = False,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> httpx.Response:
        """Send a request, and repeat it for up to ``retry_seconds`` while the server is busy or away.

        Creating a run can be repeated safely, because of its idempotency key. A read that timed out is not repeated.
        """
        unsure = False

        def is_retryable(error: BaseException) -> bool:
            nonlocal unsure
            # The server may have closed a pooled connection just as we used it.
            is_broken = isinstance(error, _BROKEN) or (changes and isinstance(error, httpx.ReadTimeout))
            unsure = unsure or (changes and is_broken)
            is_busy = isinstance(error, httpx.HTTPStatusError) and error.response.status_code in RETRY_STATUSES
            return is_broken or is_busy

        async def send() -> httpx.Response:
            async with self._slots:
                return await self._client.request(method, path, json=body, timeout=timeout_seconds)

        try:
            return await AsyncRetrying(
                retry=retry_if_exception(is_retryable),
                stop=stop_after_delay(self._retry_seconds),
                wait=wait_random_exponential(multiplier=0.05, max=1.0),
                reraise=True,
            )(send)
        except httpx.HTTPError as error:
            raise UnsureError(UNSURE) if unsure else _translate_error(error, path) from error


def _split(names: Sequence[str], size: int = TAGS_AT_ONCE) -> list[Sequence[str]]:
    return [names[start : start + size] for start in range(0, len(names), size)]


def _due_at(now: datetime) -> dict[str, Any]:
    return {"expected_start_time": {"before_": (now + DUE_MARGIN).isoformat()}}


def _translate_error(error: httpx.HTTPError, path: str) -> OrchestratorError:
    """Return the error for clients. Its message does not reveal the server's address."""
    if not isinstance(error, httpx.HTTPStatusError):
        return OrchestratorError(f"Prefect's server does not answer ({type(error).__name__}).")
    status = error.response.status_code
    if status == httpx.codes.NOT_FOUND and path.startswith("/deployments/name/"):
        name = path.removeprefix("/deployments/name/")
        return OrchestratorError(
            f"Prefect's server has no deployment {name}. 'make serve' makes it, and so does 'make deploy'."
        )
    if status in RETRY_STATUSES:
        return OrchestratorError(f"Prefect's server does not answer (it is busy: {status}).")
    return OrchestratorError(f"Prefect's server answered with an unexpected {status}.")
