"""The metrics of the HTTP API agree with what was asked of it, with the store and with Prefect, and need no key."""

import json
import math
import os
import socket
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from fakes.stored import HANDLE as STORED
from fakes.stored import attach_set
from fakes.surface import Surface, read_settings_of
from fakes.waiting import wait_until
from fakes.workspace import HANDLE, make_workspace
from prefect.client.orchestration import SyncPrefectClient
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings
from prometheus_client.core import CollectorRegistry
from pyarrow import fs

from engine.errors import AddressError
from engine.settings import Settings
from engine.store.changes import detach_set
from engine.store.layout import MANIFEST
from flows.api.metrics import Gauges, count_store, measure_prefect, measure_store, serve_metrics

LATE = {"interactive": 2, "backfill": 0, "parts": 1}


@pytest.mark.parametrize(
    ("method", "path", "client", "route", "status"),
    [
        ("GET", "/models/u22a8.nobody/samples", "author", "/v1/models/{handle}/samples", 404),
        ("GET", "/health", "nobody", "/v1/health", 503),
        ("GET", f"/models/{HANDLE}/samples", "nobody", "none", 401),
        ("OTHER", "/health", "nobody", "/v1/health", 405),
    ],
)
def test_request_is_counted_by_method_route_and_status(
    surface: Surface, method: str, path: str, client: str, route: str, status: int
) -> None:
    labels, read = {"method": method, "route": route}, surface.registry.get_sample_value
    counters = (("requests_total", labels | {"status": str(status)}), ("request_seconds_count", labels))
    surface.orchestrator.away = True
    before = [read(f"exemplars_http_{name}", told) or 0.0 for name, told in counters]
    asked = "BREW" if method == "OTHER" else method
    seen = [getattr(surface, client).request(asked, path).status_code for _ in range(3)]

    assert [status] * 3 == seen
    assert [first + 3 for first in before] == [read(f"exemplars_http_{name}", told) for name, told in counters]
    assert 0 < (read("exemplars_http_request_seconds_sum", labels) or 0) < 600


def test_scrape_needs_no_key_tells_of_requests_and_store_and_ends_with_the_api(tmp_path: Path) -> None:
    settings = read_settings_of(make_workspace(tmp_path / "site", EXEMPLARS_METRICS_PORT="0"))
    with (
        temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}),
        serve_metrics(settings) as (counts, url),
    ):
        assert counts is not None
        counts.requests.labels("GET", "/v1/health", "200").inc()
        wait_until(lambda: "exemplars_store_up 1.0" in httpx.get(url).text, what="the store is counted")
        wait_until(lambda: "exemplars_prefect_up 0.0" in httpx.get(url).text, what="Prefect was asked")
        told = httpx.get(url).text
    with pytest.raises(httpx.ConnectError):
        httpx.get(url)

    assert 'exemplars_http_requests_total{method="GET",route="/v1/health",status="200"} 1.0' in told
    assert "exemplars_store_unreadable_sets 0.0" in told


def test_taken_port_is_an_error_that_names_the_variable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = pytest.raises(AddressError, match=rf"{port}: another program .*EXEMPLARS_METRICS_PORT \(0 takes")
        with refused, serve_metrics(Settings(metrics_port=port)):
            pass


def test_store_that_goes_away_leaves_the_last_count_and_says_so(tmp_path: Path) -> None:
    samples, registry = tmp_path / "samples", CollectorRegistry()
    attach_set(samples, "a", count=4)
    attach_set(samples, "b", count=6)
    gauges, read = Gauges(registry), registry.get_sample_value
    up = [read("exemplars_store_up")]
    gauges.update(measure_store(str(samples)))
    up.append(read("exemplars_store_up"))
    counted = read("exemplars_store_counted_timestamp_seconds")
    samples.rename(tmp_path / "moved")
    samples.write_text("no folder any more")
    gauges.update(measure_store(str(samples)))

    assert [0, 1, 0] == [*up, read("exemplars_store_up")]
    assert 2 == read("exemplars_store_sets", {"status": "attached"})
    assert abs(time.time() - (counted or 0)) < 600


def count(store: Path) -> tuple[dict[str, int], int]:
    sets, unreadable = count_store(str(store))
    return dict(sets), unreadable


def test_sets_of_all_pools_are_counted_and_one_that_has_not_changed_is_not_read_again(tmp_path: Path) -> None:
    empty = count(tmp_path)
    stored = attach_set(tmp_path, "a", count=4)
    attach_set(tmp_path, "b", count=2, pool="eval")
    fs.copy_files(str(tmp_path / f"handle={STORED}/pool=train/run=a"), str(tmp_path / "elsewhere"))
    first = count(tmp_path)
    manifest = Path(stored.file(MANIFEST))
    whole, before = manifest.read_bytes(), manifest.stat()
    manifest.write_bytes(b"x" * before.st_size)
    os.utime(manifest, ns=(before.st_atime_ns, before.st_mtime_ns))

    assert (({}, 0), ({"attached": 2}, 0)) == (empty, first)
    assert first == count(tmp_path)
    manifest.write_bytes(whole)
    detach_set(stored)
    assert ({"attached": 1, "detached": 1}, 0) == count(tmp_path)


def test_a_torn_manifest_is_told_until_it_is_whole(tmp_path: Path) -> None:
    attach_set(tmp_path, "a", count=4)
    torn = Path(attach_set(tmp_path, "b", count=4).file(MANIFEST))
    whole = torn.read_bytes()
    for content, sets, unreadable in ((whole[:100], 1, 1), (whole[:100], 1, 1), (whole, 2, 0)):
        torn.write_bytes(content)
        assert ({"attached": sets}, unreadable) == count(tmp_path)


def show_prefect(request: httpx.Request) -> httpx.Response:
    """As Prefect's server, with three workers of the pool, one of them silent, and runs that wait."""
    path = request.url.path.removeprefix("/api")
    if path == "/work_pools/exemplars/workers/filter":
        ids, now = {name: str(uuid4()) for name in ("id", "work_pool_id")}, "2026-11-25T12:00:00Z"
        seen = {"name": "a worker", "created": now, "updated": now, "last_heartbeat_time": now}
        return httpx.Response(200, json=[{**ids, **seen, "status": f"{on}LINE"} for on in ("ON", "OFF", "ON")])
    if path != "/flow_runs/count":
        return httpx.Response(404)
    asked = json.loads(request.content)
    assert {"any_": ["Late"]} == asked["flow_runs"]["state"]["name"]
    assert {"any_": ["exemplars"]} == asked["work_pools"]["name"]
    [queue] = asked["work_pool_queues"]["name"]["any_"]
    return httpx.Response(200, json=LATE[queue])


def test_workers_and_late_runs_are_counted_and_no_number_while_prefect_is_away() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if seen:
            raise httpx.ConnectError("away")
        return show_prefect(request)

    seen = list[dict[str, Any]]()
    with (
        temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}),
        SyncPrefectClient(
            "http://prefect.test/api", httpx_settings={"transport": httpx.MockTransport(answer)}
        ) as client,
    ):
        for _ in range(2):
            seen.append({**measure_prefect(client)})

    there, away = seen
    assert {"prefect_up": 1, "workers_online": 2, "runs_late": LATE} == there
    assert (0, LATE.keys()) == (away["prefect_up"], away["runs_late"].keys())
    assert all(math.isnan(value) for value in (away["workers_online"], *away["runs_late"].values()))
