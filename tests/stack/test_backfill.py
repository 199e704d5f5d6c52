"""Parts of a backfill go to whichever worker is free, and a worker that is lost loses no model."""

from collections.abc import Iterator

import pytest
from fakes.provider import Behaviour
from fakes.site import Site
from fakes.stack import CALLS_AT_ONCE, RUN_SECONDS, Stack
from fakes.waiting import wait_until

from engine.backfills.ledger import read_ledger
from engine.store.store import list_sets

ANSWERED = 10
QUEUE = "/work_pools/exemplars/queues/parts"


@pytest.fixture
def queue(stack: Stack) -> Iterator[None]:
    """No worker takes a part until the queue is opened."""
    stack.site.ask("PATCH", QUEUE, is_paused=True)
    yield
    stack.site.ask("PATCH", QUEUE, is_paused=False)


@pytest.mark.usefixtures("queue")
def test_part_of_a_worker_that_is_lost_is_done_by_the_backfill_itself(stack: Stack, handle: str) -> None:
    handles = [handle, stack.add_model("parts second")]
    stack.provider.behaviour = Behaviour(hold_after=ANSWERED)
    asked = {"effort": "low", "namespace": None, "handles": handles, "part_size": 1, "models_at_once": 1}
    run_id = stack.site.start("backfill", **asked)
    stack.wait_until_held(ANSWERED)
    wait_until(lambda: list_parts(stack.site, run_id), what="a part is queued")
    stack.site.kill("worker")
    stack.site.start_worker("second")
    stack.site.ask("PATCH", QUEUE, is_paused=False)
    wait_until(lambda: stack.provider.in_flight > CALLS_AT_ONCE, RUN_SECONDS, "the part asks")
    lost_calls = stack.provider.in_flight - CALLS_AT_ONCE
    [part] = [found for found, state in list_parts(stack.site, run_id).items() if state != "CANCELLED"]
    stack.kill_run(part, "second")
    # As the automation does, some time after its last heartbeat.
    stack.site.set_state(part, "CRASHED")
    stack.provider.behaviour = Behaviour()
    stack.start_worker()
    state, message = stack.wait_for_end(run_id)

    assert "COMPLETED" == state, message
    assert {"attached": 2} == read_ledger(str(stack.workspace.samples), run_id).count()
    assert [1, 1] == [len(list_sets(str(stack.workspace.samples), name, "train")) for name in handles]
    # The last part was taken out of the queue at once.
    assert ["CANCELLED", "CRASHED"] == sorted(list_parts(stack.site, run_id).values())
    assert stack.provider.repeated <= lost_calls


def list_parts(site: Site, run_id: str) -> dict[str, str]:
    asked = {"parent_flow_run_id": {"any_": [run_id]}, "tags": {"all_": ["part"]}}
    return {run["id"]: run["state_type"] for run in site.ask("POST", "/flow_runs/filter", flow_runs=asked)}
