"""A run with ``review`` of a deployment: suspended, it holds nothing, outlives every process, and goes on as told."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from fakes.provider import Behaviour, Provider, serve_provider
from fakes.set_events import read_set_events
from fakes.site import Site, open_site
from fakes.waiting import wait_until
from fakes.workspace import HANDLE, make_workspace, read_manifest

from engine.store.layout import MANIFEST, PROPOSED, SAMPLES
from engine.store.proposals import list_proposals
from engine.store.sample_set import seal

pytestmark = pytest.mark.slow
ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")


@pytest.fixture(scope="module")
def served() -> Iterator[Provider]:
    with serve_provider() as provider:
        yield provider


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, served: Provider) -> Iterator[Site]:
    with open_site(make_workspace(tmp_path_factory.mktemp("site"), served)) as opened:
        opened.start_deployed()
        opened.start_worker(limit=2)
        yield opened


def name_state(site: Site, run_id: str) -> str:
    return str(site.ask("GET", f"/flow_runs/{run_id}")["state"]["name"])


def suspend(site: Site, **parameters: object) -> tuple[str, Path]:
    """A run that waits for a review, and the folder of its set."""
    run_id = site.start_run(review=True, **parameters)
    wait_until(lambda: name_state(site, run_id) == "Suspended" or site.read_state(run_id)[0] in ENDED, 120, "it waits")
    assert "Suspended" == name_state(site, run_id), site.read_state(run_id)
    [folder] = [path.parents[1] for path in site.workspace.samples.rglob(f"run={run_id}/{MANIFEST}")]
    return run_id, folder


def wait_for_end(site: Site, run_id: str) -> tuple[str, str]:
    wait_until(lambda: site.read_state(run_id)[0] in ENDED, 120, "the run is over")
    return site.read_state(run_id)


def resume(site: Site, run_id: str, **fields: Any) -> str:
    return str(site.ask("POST", f"/flow_runs/{run_id}/resume", run_input=fields)["status"])


def read_logs(site: Site, run_id: str) -> str:
    asked = {"flow_run_id": {"any_": [run_id]}}
    return "\n".join(line["message"] for line in site.ask("POST", "/logs/filter", logs=asked))


def go_on(site: Site, run_id: str, **fields: Any) -> None:
    """Resumes it; a moment after a run is suspended Prefect does not have its form yet, and sends one away."""
    wait_until(lambda: resume(site, run_id, **fields) == "ACCEPT", 30, "it is resumed")


def test_suspended_run_outlives_all_and_goes_on_with_what_a_person_let_stand(site: Site) -> None:
    run_id, folder = suspend(site)
    proposed = pq.read_table(folder / PROPOSED).to_pylist()
    wait_until(
        lambda: not [line for line in site.workspace.list_processes().values() if "flow-run" in line], 30, "no process"
    )
    labels = site.ask("GET", f"/flow_runs/{run_id}")["labels"]
    other = site.start_run()
    attached = wait_for_end(site, other)
    second = site.start_run(review=True)
    turned_away = wait_for_end(site, second)
    site.kill("server", "worker")
    site.start_server()
    site.start_worker(limit=2)
    refused = [row["id"] for row in proposed[:2]]
    # A state that somebody sets starts it past its form.
    site.ask("POST", f"/flow_runs/{run_id}/set_state", state={"type": "SCHEDULED"})
    wait_until(lambda: "waits on" in read_logs(site, run_id), 90, "it says that nobody has decided")
    wait_until(lambda: name_state(site, run_id) == "Suspended", 30, "it waits on")
    untouched = read_manifest(folder)["status"]
    no_word = [resume(site, run_id, **form) for form in ({}, {"decision": None}, {"why": "so"}, {"decision": "maybe"})]
    accepted = resume(site, run_id, decision="attach", leave_out=refused, why="no")
    ended = wait_for_end(site, run_id)
    rows = pq.read_table(folder / SAMPLES).to_pylist()

    assert "proposed" != read_manifest(folder)["status"]
    assert "" == labels["exemplars.lease"]
    assert "COMPLETED" == attached[0], attached
    assert "CANCELLED" == turned_away[0]
    assert run_id in turned_away[1]
    assert ("proposed", ["REJECT"] * 4, "ACCEPT") == (untouched, no_word, accepted)
    assert "COMPLETED" == ended[0], ended
    assert len(proposed) == len(rows)
    assert {row["id"] for row in proposed[2:]} < {row["id"] for row in rows}
    assert not {*refused} & {row["id"] for row in rows}


def test_resumed_run_waits_for_the_one_that_holds_the_lease_and_proposes_again(site: Site, served: Provider) -> None:
    run_id, folder = suspend(site)
    first = pq.read_table(folder / PROPOSED).to_pylist()
    served.behaviour = Behaviour(hold_after=0)
    holder = site.start_run()
    wait_until(lambda: served.in_flight, 60, "the other run asks")
    go_on(site, run_id, decision="attach", leave_out=[first[0]["id"]], propose_again=True)
    wait_until(lambda: site.read_state(run_id)[0] == "RUNNING", 60, "it is resumed")
    time.sleep(3)
    waiting = site.read_state(run_id)[0]
    served.behaviour = Behaviour()
    attached = wait_for_end(site, holder)
    wait_until(lambda: read_manifest(folder)["review"]["number"] == 2, 120, "it proposes again")
    wait_until(lambda: name_state(site, run_id) == "Suspended", 60, "it waits again")
    second = pq.read_table(folder / PROPOSED).to_pylist()
    go_on(site, run_id, decision="attach")
    ended = wait_for_end(site, run_id)

    assert "RUNNING" == waiting
    assert ("COMPLETED", "COMPLETED") == (attached[0], ended[0]), (attached, ended)
    assert {row["id"] for row in first[1:]} < {row["id"] for row in second}
    assert [row["id"] for row in second] == [row["id"] for row in pq.read_table(folder / SAMPLES).to_pylist()]


def test_rejected_and_expired_proposals_attach_nothing_and_their_runs_end(site: Site) -> None:
    rejected, first = suspend(site)
    go_on(site, rejected, decision="reject", why="not ours")
    told = wait_for_end(site, rejected)
    expired, second = suspend(site)
    manifest = dict(read_manifest(second))
    manifest["review"] = {**manifest["review"], "until": (datetime.now(UTC) - timedelta(hours=1)).isoformat()}
    (second / MANIFEST).write_bytes(seal(manifest))
    after = site.start_run()
    attached, over = wait_for_end(site, after), wait_for_end(site, expired)
    ends = {("exemplars.set.rejected", run_id) for run_id in (rejected, expired)}

    def list_told() -> set[tuple[str, str]]:
        events = read_set_events(site.url, site.workspace.samples, 1)
        return {(event["event"], event["payload"]["run_id"]) for event in events}

    wait_until(lambda: ends <= list_told(), 30, "both are told")
    assert "CANCELLED" == told[0]
    assert "not ours" in told[1]
    assert ["rejected"] * 2 == [read_manifest(folder)["status"] for folder in (first, second)]
    assert "COMPLETED" == attached[0], attached
    assert "CANCELLED" == over[0]
    assert "nobody reviewed it in time" in over[1]
    assert [] == list_proposals(str(site.workspace.samples), HANDLE)
