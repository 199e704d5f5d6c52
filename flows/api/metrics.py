"""Serves Prometheus metrics at a port of their own, without a key; they are not part of the API's contract.

What the store holds and what Prefect's server knows is looked up in background threads, so that a scrape waits for
nothing.
"""

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import lru_cache

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.exceptions import PrefectException
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    start_http_server,
)
from starlette.types import Scope

from engine.errors import StoreError
from engine.llm.batches.outbox import count_open
from engine.settings import RepliesPlace, Settings
from engine.store.commit import find_manifests
from engine.store.sample_set import read_manifest
from engine.store.store import UNREADABLE, list_pools, translate_errors
from engine.system.filesystem import open_folder
from flows.api.errors import BASE, METHODS
from flows.api.orchestrator import TIMEOUT_SECONDS
from flows.api.server import describe_refusal, write_address
from flows.deploy.work_pool import POOL, QUEUES

LOGGER = logging.getLogger("flows.api")
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0)
CHOSEN_BY = "EXEMPLARS_METRICS_PORT (0 takes a free port) and EXEMPLARS_API_HOST"
PREFECT_PAUSE_SECONDS = 30.0
# The pause between two counts of the store: at least so many seconds, and so many times what the last count took.
STORE_PAUSE_SECONDS, STORE_PAUSE_TIMES = 60.0, 10.0


@contextmanager
def serve_metrics(settings: Settings) -> Iterator["tuple[RequestMetrics | None, str]"]:
    """Serves metrics while the block runs, and yields the request metrics to record and the address of the endpoint.

    Yields None and an empty address if ``EXEMPLARS_METRICS_PORT`` is not set. prometheus_client answers each scrape in
    a thread, not in the API's event loop: metrics can be scraped even if that loop hangs.

    Raises:
        AddressError: the address is in use, not of this machine, or malformed.
    """
    host, port = settings.api_host, settings.metrics_port
    if port is None:
        yield None, ""
        return
    registry = CollectorRegistry()
    for make in (ProcessCollector, PlatformCollector, GCCollector):
        make(registry=registry)
    try:
        server, _ = start_http_server(port, host.strip("[]"), registry)
    except OSError as error:
        raise describe_refusal(error, host, port, CHOSEN_BY) from error
    store = StoreGauges(registry, settings.locate(settings.samples_uri))
    # Made here, since a thread does not see settings that hold in this context alone.
    client = get_client(sync_client=True, httpx_settings={"timeout": TIMEOUT_SECONDS})
    stopping = threading.Event()
    batches = BatchGauges(registry, settings.replies_place)
    for refresh, opened in (
        (store.refresh, nullcontext()),
        (batches.refresh, nullcontext()),
        (PrefectGauges(registry, client).refresh, client),
    ):
        threading.Thread(target=_keep_fresh, args=(refresh, opened, stopping), daemon=True).start()
    try:
        yield RequestMetrics(registry), f"{write_address(host, server.server_port)}/metrics"
    finally:
        stopping.set()
        server.shutdown()
        server.server_close()


class RequestMetrics:
    """The metrics of requests. Labels have few values: a route is its template, and an unknown method is OTHER."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Counter(
            "exemplars_http_requests",
            "Requests answered, by method, route and status; status gone where the client went away first.",
            ["method", "route", "status"],
            registry=registry,
        )
        self.seconds = Histogram(
            "exemplars_http_request_seconds",
            "How long a request took until its answer was sent.",
            ["method", "route"],
            buckets=SECONDS,
            registry=registry,
        )

    def record(self, scope: Scope, status: int | None, seconds: float) -> None:
        """Counts a request that is over; ``status`` is None where the client went away first."""
        method = scope["method"] if scope["method"] in METHODS else "OTHER"
        route = _name_route(scope)
        self.requests.labels(method, route, "gone" if status is None else str(status)).inc()
        self.seconds.labels(method, route).observe(seconds)


class StoreGauges:
    """What the sample store held when it was last counted, and whether the last count succeeded."""

    def __init__(self, registry: CollectorRegistry, samples_uri: str) -> None:
        self._samples_uri = samples_uri
        self._up = _make_gauge(registry, "store_up", "1 where the last count of the sample store succeeded.")
        self._at = _make_gauge(registry, "store_counted_timestamp_seconds", "When the store was last counted.")
        self._sets = _make_gauge(registry, "store_sets", "Sets in the sample store.", ["status"])
        self._unreadable = _make_gauge(registry, "store_unreadable_sets", "Sets whose manifest cannot be read.")

    def refresh(self) -> float:
        """Counts once; if the store cannot be read, the last count stays. Returns the pause until the next, in seconds.

        The longer the count took, the longer the pause.
        """
        begun = time.monotonic()
        try:
            sets, unreadable = count_store(self._samples_uri)
        except StoreError as error:
            LOGGER.warning("The sample store cannot be counted: %s", error)
            self._up.set(0)
        else:
            self._sets.clear()
            for status, count in sets.items():
                self._sets.labels(status).set(count)
            self._unreadable.set(unreadable)
            self._at.set(time.time())
            self._up.set(1)
        return max(STORE_PAUSE_SECONDS, STORE_PAUSE_TIMES * (time.monotonic() - begun))


class PrefectGauges:
    """Whether Prefect's server answered when it was last asked, and what it said of workers and of runs that wait.

    What only the server knows is NaN while it does not answer, which no alert takes for a number.
    """

    def __init__(self, registry: CollectorRegistry, client: SyncPrefectClient) -> None:
        self._client = client
        self._up = _make_gauge(registry, "prefect_up", "1 where Prefect's server answered when it was last asked.")
        about = f"Workers of the pool {POOL} whose heartbeats arrive."
        self._online = _make_gauge(registry, "workers_online", about)
        self._late = _make_gauge(registry, "runs_late", "Runs that are due and that no worker takes.", ["queue"])

    def refresh(self) -> float:
        """Asks once, and returns the pause until the next time, in seconds."""
        try:
            # The status in the answer is by the last heartbeat, that of the filter by the server's last look.
            asked = {"workers": {"status": {"any_": ["ONLINE"]}}}
            path = {"work_pool_name": POOL}
            workers = self._client.request(
                "POST", "/work_pools/{work_pool_name}/workers/filter", path_params=path, json=asked
            ).json()
            online = float(sum(worker["status"] == "ONLINE" for worker in workers))
            late = {queue.name: float(self._count_late(queue.name)) for queue in QUEUES}
            up = 1
        except (httpx.HTTPError, PrefectException):
            online, late, up = float("nan"), {queue.name: float("nan") for queue in QUEUES}, 0
        self._up.set(up)
        self._online.set(online)
        for name, count in late.items():
            self._late.labels(name).set(count)
        return PREFECT_PAUSE_SECONDS

    def _count_late(self, queue: str) -> int:
        asked = {
            "flow_runs": {"state": {"name": {"any_": ["Late"]}}},
            "work_pools": {"name": {"any_": [POOL]}},
            "work_pool_queues": {"name": {"any_": [queue]}},
        }
        return int(self._client.request("POST", "/flow_runs/count", json=asked).json())


class BatchGauges:
    """Batches that are out, and lines by their state, when they were last counted."""

    def __init__(self, registry: CollectorRegistry, place: RepliesPlace) -> None:
        self._place = place
        self._open = _make_gauge(registry, "batches_open", "Batches that are at their provider, or about to go there.")
        self._lines = _make_gauge(registry, "batch_lines", "Calls that wait for a batch, by state.", ["state"])

    def refresh(self) -> float:
        """Counts once; a database that cannot be read leaves the last count. Returns the pause, in seconds."""
        try:
            counts = count_open(self._place)
        except StoreError as error:
            LOGGER.warning("Batches cannot be counted: %s", error)
        else:
            self._open.set(counts["batches"])
            for state in ("waits", "sent"):
                self._lines.labels(state).set(counts[state])
        return STORE_PAUSE_SECONDS


def count_store(samples_uri: str) -> tuple[dict[str, int], int]:
    """How many sets a store has by their status, and how many more cannot be read and are tried again the next time.

    Raises:
        StoreError: the store cannot be listed.
    """
    sets, unreadable = defaultdict[str, int](int), 0
    for pool in list_pools(samples_uri):
        with translate_errors(pool, UNREADABLE):
            found = find_manifests(*open_folder(pool))
        for name, version in found.items():
            try:
                sets[_read_status(f"{pool}/{name}", version)] += 1
            except StoreError:
                unreadable += 1
    return sets, unreadable


def _keep_fresh(
    refresh: Callable[[], float], opened: AbstractContextManager[object], stopping: threading.Event
) -> None:
    """Calls ``refresh`` over and over while ``opened`` is; a call under way at the stop ends with the process."""
    pause_seconds = 0.0
    with opened:
        while not stopping.wait(pause_seconds):
            try:
                pause_seconds = refresh()
            except Exception:
                LOGGER.exception("Metrics could not be refreshed")
                pause_seconds = STORE_PAUSE_SECONDS


# Safe to keep: a manifest is never changed in place, and one that replaces it has another time or another size.
@lru_cache(maxsize=65_536)
def _read_status(folder: str, _version: tuple[int, int]) -> str:
    """The status in a set's manifest of this time and size; empty where it is gone by now."""
    return str((read_manifest(folder) or {}).get("status", ""))


def _make_gauge(registry: CollectorRegistry, name: str, about: str, labels: list[str] | None = None) -> Gauge:
    return Gauge(f"exemplars_{name}", about, labels or [], registry=registry)


def _name_route(scope: Scope) -> str:
    """The template of the route that answered, such as ``/v1/models/{handle}``; ``none`` where none was reached."""
    path = getattr(scope.get("route"), "path", None)
    if path is None:
        return "none"
    return str(path) if path.startswith(f"{BASE}/") else f"{BASE}{path}"
