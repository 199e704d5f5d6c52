"""What the door exports of Prefect's server: is it there, does anybody take runs, do runs wait."""

import json
from datetime import UTC, datetime
from uuid import uuid4

import httpx
from prefect.client.orchestration import SyncPrefectClient
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings
from prometheus_client.core import CollectorRegistry

from flows.api.metrics.prefect_gauges import PrefectGauges

NOW = datetime.now(UTC).isoformat()
STATUSES = ("ONLINE", "OFFLINE", "ONLINE")
LATE = {"interactive": 2, "backfill": 0, "parts": 1}


def answer(request: httpx.Request) -> httpx.Response:
    """As Prefect's server, with three workers of the pool, one of them silent, and runs that wait."""
    path = request.url.path.removeprefix("/api")
    if path == "/work_pools/exemplars/workers/filter":
        return httpx.Response(200, json=[make_worker(status) for status in STATUSES])
    if path != "/flow_runs/count":
        return httpx.Response(404)
    asked = json.loads(request.content)
    assert {"any_": ["Late"]} == asked["flow_runs"]["state"]["name"]
    assert {"any_": ["exemplars"]} == asked["work_pools"]["name"]
    [queue] = asked["work_pool_queues"]["name"]["any_"]
    return httpx.Response(200, json=LATE[queue])


def make_worker(status: str) -> dict[str, object]:
    ids = {name: str(uuid4()) for name in ("id", "work_pool_id")}
    return {**ids, "name": status, "status": status, "created": NOW, "updated": NOW, "last_heartbeat_time": NOW}


def read(gauges: PrefectGauges) -> dict[str, float]:
    """The gauges by name, or by queue where they have one."""
    registry = CollectorRegistry()
    registry.register(gauges)
    return {
        sample.labels.get("queue", sample.name): sample.value for each in registry.collect() for sample in each.samples
    }


def test_workers_and_late_runs_are_counted_and_missing_while_the_server_is_away() -> None:
    def answer_or_fail(request: httpx.Request) -> httpx.Response:
        if len(seen) > 1:
            raise httpx.ConnectError("away")
        return answer(request)

    seen = list[dict[str, float]]()
    with (
        temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}),
        SyncPrefectClient(
            "http://prefect.test/api", httpx_settings={"transport": httpx.MockTransport(answer_or_fail)}
        ) as client,
    ):
        gauges = PrefectGauges(client)
        for _ in range(2):
            seen.append(read(gauges))
            gauges.refresh()
        seen.append(read(gauges))

    there = {"exemplars_prefect_up": 1, "exemplars_workers_online": 2, **LATE}
    assert [{}, there, {"exemplars_prefect_up": 0}] == seen
