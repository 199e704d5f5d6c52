"""Serve Prometheus metrics at a separate port, without a key; they are not part of the API's contract.

Background threads read the numbers of the store and of Prefect's server, so that a scrape never waits.
"""

import logging
import math
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache, partial

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
from engine.settings import DatabaseUrl, Settings
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
# Minimum pause between two measurements in seconds, and as a multiple of the duration of the last one.
PREFECT_PAUSE_SECONDS, STORE_PAUSE_SECONDS, STORE_PAUSE_TIMES = 30.0, 60.0, 10.0
# Name, description and, if the gauge has one, its label.
GAUGES = (
    ("store_up", "1 where the last count of the sample store succeeded."),
    ("store_counted_timestamp_seconds", "When the store was last counted."),
    ("store_sets", "Sets in the sample store.", "status"),
    ("store_unreadable_sets", "Sets whose manifest cannot be read."),
    ("prefect_up", "1 where Prefect's server answered when it was last asked."),
    ("workers_online", f"Workers of the pool {POOL} whose heartbeats arrive."),
    ("runs_late", "Runs that are due and that no worker takes.", "queue"),
    ("batches_open", "Batches that are at their provider, or about to go there."),
    ("batch_lines", "Calls that wait for a batch, by state.", "state"),
)
# Value by gauge name; a gauge with a label has a mapping from label to value.
GaugeValues = Mapping[str, float | Mapping[str, float]]


@contextmanager
def serve_metrics(settings: Settings) -> Iterator["tuple[RequestMetrics | None, str]"]:
    """Serve metrics while the block runs, and yield the request metrics to record and the address of the endpoint.

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
    gauges, stopping = Gauges(registry), threading.Event()
    # Created here, since a thread does not see the temporary settings of this context.
    client = get_client(sync_client=True, httpx_settings={"timeout": TIMEOUT_SECONDS})
    measurements: tuple[tuple[Callable[[], GaugeValues], float, float], ...] = (
        (partial(measure_store, settings.samples_uri), STORE_PAUSE_SECONDS, STORE_PAUSE_TIMES),
        (partial(measure_batches, settings.replies_place), STORE_PAUSE_SECONDS, 0.0),
        (partial(measure_prefect, client), PREFECT_PAUSE_SECONDS, 0.0),
    )
    for measurement in measurements:
        threading.Thread(target=_refresh_gauges, args=(gauges, *measurement, stopping), daemon=True).start()
    try:
        yield RequestMetrics(registry), f"{write_address(host, server.server_port)}/metrics"
    finally:
        stopping.set()
        server.shutdown()
        server.server_close()


class RequestMetrics:
    """Metrics of requests, with few values per label.

    A route is its template, such as ``/v1/models/{handle}``, or ``none`` if none matched. An unknown method is OTHER.
    """

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
        """Count a finished request; ``status`` is None if the client disconnected first."""
        method = scope["method"] if scope["method"] in METHODS else "OTHER"
        path = str(getattr(scope.get("route"), "path", "none"))
        route = path if path == "none" or path.startswith(f"{BASE}/") else f"{BASE}{path}"
        self.requests.labels(method, route, "gone" if status is None else str(status)).inc()
        self.seconds.labels(method, route).observe(seconds)


class Gauges:
    """Gauges that are measured from time to time; 0, or without labels, before the first measurement."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._gauges = {
            name: Gauge(f"exemplars_{name}", about, labels, registry=registry) for name, about, *labels in GAUGES
        }

    def update(self, values: GaugeValues) -> None:
        """Set the gauges that have a value; of these, labels without a value are removed."""
        for name, value in values.items():
            gauge = self._gauges[name]
            if isinstance(value, Mapping):
                gauge.clear()
                for label, number in value.items():
                    gauge.labels(label).set(number)
            else:
                gauge.set(value)


def measure_store(samples_uri: str) -> GaugeValues:
    """Return the numbers of sets in the sample store; after an error only ``store_up``, so the last count stays."""
    try:
        sets, unreadable = count_store(samples_uri)
    except StoreError as error:
        LOGGER.warning("The sample store cannot be counted: %s", error)
        return {"store_up": 0}
    return {
        "store_up": 1,
        "store_sets": sets,
        "store_unreadable_sets": unreadable,
        "store_counted_timestamp_seconds": time.time(),
    }


def measure_batches(database: DatabaseUrl) -> GaugeValues:
    """Return the number of open batches, and of lines by state; empty after an error, so the last count stays."""
    try:
        counts = count_open(database)
    except StoreError as error:
        LOGGER.warning("Batches cannot be counted: %s", error)
        return {}
    return {"batches_open": counts["batches"], "batch_lines": {state: counts[state] for state in ("waits", "sent")}}


def measure_prefect(client: SyncPrefectClient) -> GaugeValues:
    """Return whether Prefect's server answers, and its numbers of online workers and late runs.

    These numbers are NaN while the server does not answer, so that no alert compares them.
    """
    try:
        # The answer's status follows the last heartbeat; the filter uses the status at the server's last check.
        body, path = {"workers": {"status": {"any_": ["ONLINE"]}}}, {"work_pool_name": POOL}
        answer = client.request("POST", "/work_pools/{work_pool_name}/workers/filter", path_params=path, json=body)
        online = sum(worker["status"] == "ONLINE" for worker in answer.json())
        late = {}
        for queue in QUEUES:
            conditions = {
                "flow_runs": {"state": {"name": {"any_": ["Late"]}}},
                "work_pools": {"name": {"any_": [POOL]}},
                "work_pool_queues": {"name": {"any_": [queue.name]}},
            }
            late[queue.name] = int(client.request("POST", "/flow_runs/count", json=conditions).json())
    except (httpx.HTTPError, PrefectException):
        unknown = dict.fromkeys((queue.name for queue in QUEUES), math.nan)
        return {"prefect_up": 0, "workers_online": math.nan, "runs_late": unknown}
    return {"prefect_up": 1, "workers_online": online, "runs_late": late}


def count_store(samples_uri: str) -> tuple[dict[str, int], int]:
    """Return the number of sets by status, and the number of unreadable sets, which are tried again next time.

    Raises:
        StoreError: the store cannot be listed.
    """
    sets, unreadable = defaultdict[str, int](int), 0
    for pool in list_pools(samples_uri):
        with translate_errors(pool, UNREADABLE):
            manifests = find_manifests(*open_folder(pool))
        for name, version in manifests.items():
            try:
                sets[_read_status(f"{pool}/{name}", version)] += 1
            except StoreError:
                unreadable += 1
    return sets, unreadable


def _refresh_gauges(
    gauges: Gauges, measure: Callable[[], GaugeValues], pause_seconds: float, times: float, stopping: threading.Event
) -> None:
    """Measure repeatedly until it is stopped; a measurement in progress then ends with the process.

    Args:
        times: a pause lasts at least this multiple of the duration of the last measurement.
    """
    wait_seconds = 0.0
    while not stopping.wait(wait_seconds):
        started = time.monotonic()
        try:
            gauges.update(measure())
        except Exception:
            LOGGER.exception("Metrics could not be refreshed")
        wait_seconds = max(pause_seconds, times * (time.monotonic() - started))


# Safe to cache: a manifest is never changed in place, and its replacement has another time or size.
@lru_cache(maxsize=65_536)
def _read_status(folder: str, _version: tuple[int, int]) -> str:
    """Return the status in a set's manifest of this time and size; empty if the manifest no longer exists."""
    return str((read_manifest(folder) or {}).get("status", ""))
