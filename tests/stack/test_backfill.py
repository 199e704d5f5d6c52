"""Parts of a backfill go to whichever worker is free, and a worker that is lost loses no model."""

from collections.abc import Iterator

import pytest
from fakes.catalogue import NAMESPACE, make_catalogue, name_model
from fakes.fleet import SAMPLES_URI, open_fleet
from fakes.long import long
from fakes.postgres import Databases
from fakes.provider import Behaviour, serve_provider
from fakes.s3 import S3
from fakes.site import Site
from fakes.stack import CALLS_AT_ONCE, RUN_SECONDS, Stack
from fakes.waiting import wait_until

from engine.store.backfill_ledger import read_ledger
from engine.store.store import list_sets

ANSWERED = 10
COUNT, SECONDS = 8, 240.0
QUEUE = "/work_pools/exemplars/queues/parts"


@pytest.fixture
def queue(stack: Stack) -> Iterator[None]:
    """No worker takes a part until the queue is opened."""
    stack.site.ask("PATCH", QUEUE, is_paused=True)
    yield
    stack.site.ask("PATCH", QUEUE, is_paused=False)


@pytest.mark.usefixtures("queue")
def test_part_of_a_worker_that_is_lost_is_done_by_another(stack: Stack, handle: str) -> None:
    handles = [handle, stack.add_model("parts second")]
    stack.provider.behaviour = Behaviour(hold_after=ANSWERED)
    run_id = stack.start_backfill(handles=handles, part_size=1, models_at_once=1)
    stack.wait_until_held(ANSWERED)
    wait_until(lambda: list_parts(stack.site, run_id), what="a part is queued")
    stack.site.kill("worker")
    stack.site.start_worker("second")
    stack.site.ask("PATCH", QUEUE, is_paused=False)
    wait_until(lambda: stack.provider.in_flight > CALLS_AT_ONCE, RUN_SECONDS, "the part asks")
    lost_calls = stack.provider.in_flight - CALLS_AT_ONCE
    [part] = list_parts(stack.site, run_id)
    stack.kill_run(part, "second")
    # As the automation does, some time after its last heartbeat.
    stack.site.ask("POST", f"/flow_runs/{part}/set_state", state={"type": "CRASHED"}, force=True)
    stack.provider.behaviour = Behaviour()
    stack.start_worker()
    state, message = stack.wait_for_end(run_id)

    assert "COMPLETED" == state, message
    assert {"attached": 2} == read_ledger(str(stack.workspace.samples), run_id).count()
    assert [1, 1] == [len(list_sets(str(stack.workspace.samples), name, "train")) for name in handles]
    assert ["COMPLETED", "CRASHED"] == sorted(list_parts(stack.site, run_id).values())
    assert stack.provider.repeated <= lost_calls


def list_parts(site: Site, run_id: str) -> dict[str, str]:
    """The parts of a backfill, and their states."""
    asked = {"parent_flow_run_id": {"any_": [run_id]}, "tags": {"all_": ["part"]}}
    return {run["id"]: run["state_type"] for run in site.ask("POST", "/flow_runs/filter", flow_runs=asked)}


@long
def test_machine_that_is_lost_loses_no_model_and_one_that_is_added_takes_its_share(
    tmp_path_factory: pytest.TempPathFactory, s3: S3, postgres: Databases
) -> None:
    with serve_provider(Behaviour(seconds=0.1)) as provider:
        workspace = make_catalogue(tmp_path_factory.mktemp("fleet"), provider, COUNT)
        with open_fleet(workspace, s3, postgres) as fleet:
            for name in ("first", "second"):
                fleet.start_machine(name)
            run_id = fleet.start_backfill(namespace=NAMESPACE, effort="low", models_at_once=2, part_size=2)
            wait_until(lambda: count_sets() and "RUNNING" in list_parts(fleet.site, run_id).values(), SECONDS)
            parent = next(name for name in ("first", "second") if fleet.holds(name, run_id))
            fleet.lose_machine("second" if parent == "first" else "first")
            fleet.start_machine("third")
            wait_until(lambda: fleet.site.read_state(run_id)[0] in ("COMPLETED", "FAILED"), SECONDS)
            counts = read_ledger(SAMPLES_URI, run_id).count()

    assert COUNT == counts["attached"] + counts["skipped"]
    # What the lost machine had attached and not yet told is found done: at most as many models as it had at once.
    assert counts["skipped"] <= 2
    assert {name_model(number): 1 for number in range(COUNT)} == count_sets()
    # One model at a time was lost with at most so many replies as had not been put on the store, or were in flight.
    assert provider.repeated <= 2 * 32


def count_sets() -> dict[str, int]:
    """How many attached sets the models have that have any."""
    counts = {name: len(list_sets(SAMPLES_URI, name, "train")) for name in map(name_model, range(COUNT))}
    return {name: count for name, count in counts.items() if count}
