"""Serves Prometheus metrics at a port of their own, without a key; they are not part of the API's contract.

What the store holds and what Prefect's server knows is looked up in background threads, so that a scrape waits for
nothing.
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
# The pause between two looks: at least so many seconds, and so many times what the last one took.
PREFECT_PAUSE_SECONDS, STORE_PAUSE_SECONDS, STORE_PAUSE_TIMES = 30.0, 60.0, 10.0
# Name, what it tells, and its label if it has one.
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
# Values by the names of gauges; of one with a label, by that.
Told = Mapping[str, float | Mapping[str, float]]


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
    gauges, stopping = Gauges(registry), threading.Event()
    # Made here, since a thread does not see settings that hold in this context alone.
    client = get_client(sync_client=True, httpx_settings={"timeout": TIMEOUT_SECONDS})
    looks: tuple[tuple[Callable[[], Told], float, float], ...] = (
        (partial(look_at_store, settings.samples_uri), STORE_PAUSE_SECONDS, STORE_PAUSE_TIMES),
        (partial(look_at_batches, settings.replies_place), STORE_PAUSE_SECONDS, 0.0),
        (partial(look_at_prefect, client), PREFECT_PAUSE_SECONDS, 0.0),
    )
    for look in looks:
        threading.Thread(target=_keep_fresh, args=(gauges, *look, stopping), daemon=True).start()
    try:
        yield RequestMetrics(registry), f"{write_address(host, server.server_port)}/metrics"
    finally:
        stopping.set()
        server.shutdown()
        server.server_close()


class RequestMetrics:
    """The metrics of requests. Labels have few values: a route is its template, such as ``/v1/models/{handle}``, or
    ``none`` where none was reached, and an unknown method is OTHER.
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
        """Counts a request that is over; ``status`` is None where the client went away first."""
        method = scope["method"] if scope["method"] in METHODS else "OTHER"
        path = str(getattr(scope.get("route"), "path", "none"))
        route = path if path == "none" or path.startswith(f"{BASE}/") else f"{BASE}{path}"
        self.requests.labels(method, route, "gone" if status is None else str(status)).inc()
        self.seconds.labels(method, route).observe(seconds)


class Gauges:
    """All that is looked up now and then; it is 0, or has no label yet, before the first look."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._gauges = {
            name: Gauge(f"exemplars_{name}", about, labels, registry=registry) for name, about, *labels in GAUGES
        }

    def tell(self, told: Told) -> None:
        """Sets the gauges of which something is told; labels that are not told any more go."""
        for name, value in told.items():
            gauge = self._gauges[name]
            if isinstance(value, Mapping):
                gauge.clear()
                for label, number in value.items():
                    gauge.labels(label).set(number)
            else:
                gauge.set(value)


def look_at_store(samples_uri: str) -> Told:
    """What the sample store holds, and whether it could be counted; where it could not, the last count stays."""
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


def look_at_batches(place: DatabaseUrl) -> Told:
    """The batches that are out, and lines by their state; where they cannot be counted, the last count stays."""
    try:
        counts = count_open(place)
    except StoreError as error:
        LOGGER.warning("Batches cannot be counted: %s", error)
        return {}
    return {"batches_open": counts["batches"], "batch_lines": {state: counts[state] for state in ("waits", "sent")}}


def look_at_prefect(client: SyncPrefectClient) -> Told:
    """Whether Prefect's server answers, and what it says of workers and of runs that wait.

    What only the server knows is NaN while it does not answer, which no alert takes for a number.
    """
    try:
        # The status in the answer is by the last heartbeat, that of the filter by the server's last look.
        wanted, path = {"workers": {"status": {"any_": ["ONLINE"]}}}, {"work_pool_name": POOL}
        found = client.request("POST", "/work_pools/{work_pool_name}/workers/filter", path_params=path, json=wanted)
        online = sum(worker["status"] == "ONLINE" for worker in found.json())
        late = {}
        for queue in QUEUES:
            asked = {
                "flow_runs": {"state": {"name": {"any_": ["Late"]}}},
                "work_pools": {"name": {"any_": [POOL]}},
                "work_pool_queues": {"name": {"any_": [queue.name]}},
            }
            late[queue.name] = int(client.request("POST", "/flow_runs/count", json=asked).json())
    except (httpx.HTTPError, PrefectException):
        unknown = dict.fromkeys((queue.name for queue in QUEUES), math.nan)
        return {"prefect_up": 0, "workers_online": math.nan, "runs_late": unknown}
    return {"prefect_up": 1, "workers_online": online, "runs_late": late}


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
    gauges: Gauges, look: Callable[[], Told], pause_seconds: float, times: float, stopping: threading.Event
) -> None:
    """Looks over and over until it is stopped; a look under way then ends with the process.

    Args:
        times: a pause is so many times as long as the look before took, at least.
    """
    wait_seconds = 0.0
    while not stopping.wait(wait_seconds):
        begun = time.monotonic()
        try:
            gauges.tell(look())
        except Exception:
            LOGGER.exception("Metrics could not be refreshed")
        wait_seconds = max(pause_seconds, times * (time.monotonic() - begun))


# Safe to keep: a manifest is never changed in place, and one that replaces it has another time or another size.
@lru_cache(maxsize=65_536)
def _read_status(folder: str, _version: tuple[int, int]) -> str:
    """The status in a set's manifest of this time and size; empty where it is gone by now."""
    return str((read_manifest(folder) or {}).get("status", ""))
