"""What the door exports of Prefect's server, asked of a real one: is it there, does anybody take runs, do runs wait."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fakes.site import Site, find_free_port, open_site
from fakes.waiting import wait_until
from fakes.workspace import HANDLE, make_workspace
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, temporary_settings
from prometheus_client.core import CollectorRegistry

from flows.api.metrics.prefect_gauges import PrefectGauges

pytestmark = pytest.mark.slow


def test_workers_and_late_runs_are_counted_and_missing_while_the_server_is_away(tmp_path: Path) -> None:
    with open_site(make_workspace(tmp_path)) as site:
        site.start_deployed()
        leave_late_run(site)
        with (
            temporary_settings({PREFECT_API_URL: site.url}),
            get_client(sync_client=True) as client,
        ):
            gauges = PrefectGauges(client)
            before, lonely = read(gauges), ask(gauges)
            site.start_worker()
            wait_until(lambda: ask(gauges)["exemplars_workers_online"], 60, "the worker is counted")
            attended = read(gauges)
            site.kill("server")
            away = ask(gauges)

    assert {} == before
    assert {
        "exemplars_prefect_up": 1,
        "exemplars_workers_online": 0,
        "interactive": 1,
        "backfill": 0,
        "parts": 0,
    } == lonely
    assert 1 == attended["exemplars_workers_online"]
    assert {"exemplars_prefect_up": 0} == away


def test_server_that_nobody_has_set_up_has_neither(tmp_path: Path) -> None:
    with temporary_settings({PREFECT_API_URL: f"http://127.0.0.1:{find_free_port()}/api"}):
        assert {"exemplars_prefect_up": 0} == ask(PrefectGauges(get_client(sync_client=True)))


def leave_late_run(site: Site) -> None:
    """A run of the queue ``interactive`` that Prefect has found to be late."""
    deployment = site.find_deployment("synthesize/on-demand")["id"]
    run = site.ask("POST", f"/deployments/{deployment}/create_flow_run", name="waits", parameters={"handle": HANDLE})
    due = (datetime.now(UTC) - timedelta(minutes=5)).isoformat()
    late = {"type": "SCHEDULED", "name": "Late", "state_details": {"scheduled_time": due}}
    site.ask("POST", f"/flow_runs/{run['id']}/set_state", state=late, force=True)


def ask(gauges: PrefectGauges) -> dict[str, float]:
    gauges.refresh()
    return read(gauges)


def read(gauges: PrefectGauges) -> dict[str, float]:
    """The gauges by name, or by queue where they have one."""
    registry = CollectorRegistry()
    registry.register(gauges)
    return {
        sample.labels.get("queue", sample.name): sample.value for each in registry.collect() for sample in each.samples
    }
