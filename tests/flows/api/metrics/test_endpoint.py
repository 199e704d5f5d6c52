"""The door's metrics, scraped from the real program: they agree with what was asked of it and with the store."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from fakes.door import Door, open_door
from fakes.site import clear_environment, find_free_port
from fakes.stored import HANDLE, attach_set, write_model
from fakes.waiting import wait_until
from fakes.workspace import ROOT, Workspace, make_workspace
from prometheus_client.core import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from flows.api.metrics.store_gauges import StoreGauges

pytestmark = pytest.mark.slow

COUNTED_SECONDS = 10.0
Scraped = dict[tuple[str, frozenset[tuple[str, str]]], float]


@contextmanager
def serve_door(folder: Path, variables: Mapping[str, str] = {}) -> Iterator[Door]:
    """A door with metrics and a store of two sets; nobody answers where it looks for Prefect."""
    workspace = make_workspace(folder)
    write_model(folder / "models")
    attach_set(workspace.samples, "a", count=4)
    attach_set(workspace.samples, "b", count=6)
    environment = {
        **clear_environment(),
        **workspace.variables,
        "PREFECT_HOME": str(folder / "prefect"),
        "PREFECT_API_URL": f"http://127.0.0.1:{find_free_port()}/api",
        "EXEMPLARS_METRICS_PORT": "0",
        **variables,
    }
    with open_door(workspace, environment) as door:
        yield door


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    with serve_door(tmp_path_factory.mktemp("door") / "site") as served:
        yield served


def scrape(url: str) -> Scraped:
    """All samples of a scrape, parsed by Prometheus's own parser."""
    answer = httpx.get(url, timeout=10)
    assert 200 == answer.status_code
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def read(scraped: Scraped, name: str, **labels: str) -> float:
    """One sample; 0 where there is none yet."""
    return scraped.get((name, frozenset(labels.items())), 0.0)


def count_requests(door: Door, method: str, route: str, status: str) -> float:
    return read(scrape(door.metrics_url), "exemplars_door_requests_total", method=method, route=route, status=status)


@pytest.mark.parametrize(
    ("method", "path", "with_key", "route", "status"),
    [
        ("GET", f"/models/{HANDLE}/samples", True, "/v1/models/{handle}/samples", "200"),
        ("GET", f"/models/{HANDLE}/traits", True, "/v1/models/{handle}/traits", "200"),
        ("GET", "/models/u22a8.nobody/samples", True, "/v1/models/{handle}/samples", "404"),
        ("GET", "/health", False, "/v1/health", "503"),
        ("GET", f"/models/{HANDLE}/samples", False, "none", "401"),
        ("GET", "/nothing/of/the/kind", True, "none", "404"),
        ("BREW", "/health", False, "/v1/health", "405"),
    ],
)
def test_request_is_counted_by_method_route_and_status(
    door: Door, method: str, path: str, with_key: bool, route: str, status: str
) -> None:
    client = door.open_client(None if with_key else "")
    counted_as = method if method == "GET" else "OTHER"
    before = count_requests(door, counted_as, route, status)
    seen = [str(client.request(method, path).status_code) for _ in range(3)]

    # The answer is with the client a moment before it is counted.
    end = time.monotonic() + COUNTED_SECONDS
    while (counted := count_requests(door, counted_as, route, status)) < before + 3 and time.monotonic() < end:
        time.sleep(0.05)

    assert [status] * 3 == seen
    assert before + 3 == counted


def test_latency_has_as_many_requests_as_the_counter(door: Door) -> None:
    client = door.open_client()
    for _ in range(4):
        client.get(f"/models/{HANDLE}/traits")
    scraped = scrape(door.metrics_url)
    labels = {"method": "GET", "route": "/v1/models/{handle}/traits"}
    counted = sum(
        value
        for (name, found), value in scraped.items()
        if name == "exemplars_door_requests_total" and labels.items() <= dict(found).items()
    )

    assert counted == read(scraped, "exemplars_door_request_seconds_count", **labels)
    assert counted == read(scraped, "exemplars_door_request_seconds_bucket", **labels, le="+Inf")
    assert 0 < read(scraped, "exemplars_door_request_seconds_sum", **labels) < 60
    # A client has its answer a moment before the door has counted it.
    wait_until(
        lambda: read(scrape(door.metrics_url), "exemplars_door_requests_in_flight") == 0, 10, "none is in flight"
    )


def test_sums_agree_with_the_store(door: Door) -> None:
    wait_until(lambda: read(scrape(door.metrics_url), "exemplars_store_up"), 30, "the store is counted")
    scraped = scrape(door.metrics_url)
    labels = {"namespace": "u22a8", "pool": "train", "synth_type": "from_traits", "effort": "low", "status": "attached"}
    stored = door.open_client().get(f"/models/{HANDLE}/samples").json()["items"]

    assert 2 == read(scraped, "exemplars_store_sets", **labels)
    assert len(stored) == read(scraped, "exemplars_store_exemplars", **labels) == 10
    assert 0 == read(scraped, "exemplars_store_unreadable_sets")
    assert abs(time.time() - read(scraped, "exemplars_store_counted_timestamp_seconds")) < 120


def test_metrics_need_no_key_and_are_no_part_of_the_surface(door: Door) -> None:
    assert 200 == httpx.get(f"{door.metrics_url}?name=x").status_code
    assert 405 == httpx.post(door.metrics_url).status_code
    assert 401 == httpx.get(f"{door.url}/metrics").status_code


def test_client_that_sends_nothing_holds_nobody_up(door: Door) -> None:
    host, port = door.metrics_url.removeprefix("http://").removesuffix("/metrics").split(":")
    with socket.create_connection((host, int(port))):
        assert 200 == httpx.get(door.metrics_url, timeout=5).status_code


def test_metrics_end_with_the_door(tmp_path: Path) -> None:
    with serve_door(tmp_path / "site") as door:
        url = door.metrics_url
        assert 200 == httpx.get(url).status_code
        assert 0 == door.stop()
        with pytest.raises(httpx.ConnectError):
            httpx.get(url)


def test_door_without_the_variable_has_none(tmp_path: Path) -> None:
    with serve_door(tmp_path / "site", {"EXEMPLARS_METRICS_PORT": ""}) as door:
        assert "" == door.metrics_url


def test_taken_port_is_an_error_that_names_its_variable(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path / "site")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = serve_in_vain(workspace, port)

    assert 3 == ended.returncode
    assert f"cannot listen on http://127.0.0.1:{port}: another program listens there" in ended.stderr
    assert "EXEMPLARS_METRICS_PORT (0 takes a free port)" in ended.stderr


def serve_in_vain(workspace: Workspace, port: int) -> "subprocess.CompletedProcess[str]":
    variables = {**clear_environment(), **workspace.variables, "PREFECT_HOME": str(workspace.folder / "prefect")}
    variables |= {"EXEMPLARS_METRICS_PORT": str(port), "EXEMPLARS_API_PORT": "0"}
    return subprocess.run(
        [sys.executable, "-m", "flows.api", "serve"],
        cwd=ROOT,
        env=variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_store_that_goes_away_leaves_the_last_count_and_says_so(tmp_path: Path) -> None:
    samples = tmp_path / "samples"
    attach_set(samples, "a", count=4)
    stock = StoreGauges(str(samples))
    registry = CollectorRegistry()
    registry.register(stock)
    before = registry.get_sample_value("exemplars_store_up")
    stock.refresh()
    up = registry.get_sample_value("exemplars_store_up")
    samples.rename(tmp_path / "moved")
    samples.write_text("no folder any more")
    stock.refresh()
    labels = {"namespace": "u22a8", "pool": "train", "synth_type": "from_traits", "effort": "low", "status": "attached"}

    assert (0, 1, 0) == (before, up, registry.get_sample_value("exemplars_store_up"))
    assert 1 == registry.get_sample_value("exemplars_store_sets", labels)
