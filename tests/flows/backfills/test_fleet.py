"""A backfill on several machines: parts go to whichever worker is free, and a machine that is lost loses no model."""

from collections.abc import Iterator

import pytest
from fakes.catalogue import NAMESPACE, make_catalogue, name_model
from fakes.fleet import SAMPLES_URI, Fleet, open_fleet
from fakes.postgres import Databases
from fakes.provider import COMPLETION_TOKENS, PROMPT_TOKENS, Behaviour, Provider, serve_provider
from fakes.s3 import S3
from fakes.waiting import wait_until

from engine.store.backfill_ledger import read_ledger
from engine.store.store import list_sets

pytestmark = pytest.mark.slow

COUNT = 8
SECONDS = 240.0
# Of a lost machine's run; what it is where nobody changes it, test_deploy.py waits for.
SILENCE_SECONDS = 45
# What the provider says that a call took, at the price that the fleet is told.
CALL_USD = (PROMPT_TOKENS * 0.4 + COMPLETION_TOKENS * 1.6) / 10**6


@pytest.fixture(scope="module")
def s3(s3_server: S3) -> Iterator[S3]:
    with pytest.MonkeyPatch.context() as patch:
        s3_server.enter(patch)
        s3_server.heal()
        yield s3_server


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with serve_provider() as served:
        yield served


@pytest.fixture(scope="module")
def opened(
    tmp_path_factory: pytest.TempPathFactory, provider: Provider, s3: S3, postgres: Databases
) -> Iterator[Fleet]:
    """The fleet itself; a test wants ``fleet``."""
    workspace = make_catalogue(tmp_path_factory.mktemp("fleet"), provider, COUNT, EXEMPLARS_SYNTH_PRICE="0.4/1.6")
    with open_fleet(workspace, s3, postgres) as fleet:
        fleet.site.shorten_silence(SILENCE_SECONDS)
        yield fleet


@pytest.fixture
def fleet(opened: Fleet, provider: Provider) -> Iterator[Fleet]:
    """A fleet without a machine, of which no run is known and no model has a sample; calls take a moment."""
    provider.behaviour = Behaviour(seconds=0.1)
    yield opened
    opened.forget()
    provider.forget()


def count_sets() -> dict[str, int]:
    """How many attached sets each model has in the store that all machines share."""
    handles = [name_model(number) for number in range(COUNT)]
    return {handle: len(list_sets(SAMPLES_URI, handle, "train")) for handle in handles}


def wait_for_end(fleet: Fleet, run_id: str) -> tuple[str, str]:
    wait_until(lambda: fleet.site.read_state(run_id)[0] in {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}, SECONDS)
    return fleet.site.read_state(run_id)


def list_parts(fleet: Fleet, run_id: str) -> list[str]:
    """The states of the parts of a backfill."""
    asked = {"parent_flow_run_id": {"any_": [run_id]}, "tags": {"all_": ["part"]}}
    return [run["state_type"] for run in fleet.site.ask("POST", "/flow_runs/filter", flow_runs=asked)]


def test_machine_that_is_lost_loses_no_model_and_one_that_is_added_takes_its_share(
    fleet: Fleet, provider: Provider
) -> None:
    for name in ("first", "second"):
        fleet.start_machine(name)
    run_id = fleet.start_backfill(namespace=NAMESPACE, effort="low", models_at_once=2, part_size=2)
    wait_until(lambda: "RUNNING" in list_parts(fleet, run_id) and sum(count_sets().values()) >= 1, SECONDS)
    parent = next(name for name in ("first", "second") if fleet.holds(name, run_id))
    fleet.lose_machine("second" if parent == "first" else "first")
    fleet.start_machine("third")
    state, message = wait_for_end(fleet, run_id)
    ledger = read_ledger(SAMPLES_URI, run_id)

    counts = ledger.count()
    assert ("COMPLETED", COUNT) == (state, counts["attached"] + counts["skipped"]), message
    # What the lost machine had attached and not yet told is found done: at most as many models as it had at once.
    assert counts["skipped"] <= 2
    assert {name_model(number): 1 for number in range(COUNT)} == count_sets()
    # One model at a time was lost with at most so many replies as had not been put on the store, or were in flight.
    assert provider.repeated <= 2 * 32


def test_pool_without_another_worker_costs_time_and_nothing_else(fleet: Fleet, provider: Provider) -> None:
    fleet.start_machine("alone")
    run_id = fleet.start_backfill(namespace=NAMESPACE, effort="low", part_size=3, max_cost_usd=1.0)
    state, message = wait_for_end(fleet, run_id)
    spent_usd = read_ledger(SAMPLES_URI, run_id).spent_usd

    assert "COMPLETED" == state, message
    assert pytest.approx(provider.calls.total() * CALL_USD) == spent_usd
    assert {name_model(number): 1 for number in range(COUNT)} == count_sets()
    assert {"CANCELLED"} == set(list_parts(fleet, run_id))
    assert 0 == provider.repeated


def test_cancel_stops_the_parts_on_other_machines_too(fleet: Fleet, provider: Provider) -> None:
    provider.behaviour = Behaviour(hold_after=40)
    for name in ("first", "second"):
        fleet.start_machine(name)
    run_id = fleet.start_backfill(namespace=NAMESPACE, effort="low", part_size=3)
    wait_until(lambda: "RUNNING" in list_parts(fleet, run_id) and provider.in_flight > 0, SECONDS)
    fleet.site.ask("POST", f"/flow_runs/{run_id}/set_state", state={"type": "CANCELLING"})
    state, message = wait_for_end(fleet, run_id)
    wait_until(lambda: set(list_parts(fleet, run_id)) <= {"CANCELLED"}, SECONDS)
    calls = provider.calls.total()
    provider.behaviour = Behaviour()
    live = fleet.site.ask(
        "POST",
        "/flow_runs/filter",
        flows={"name": {"any_": ["synthesize"]}},
        flow_runs={"state": {"type": {"any_": ["PENDING", "RUNNING", "SCHEDULED", "CANCELLING"]}}},
    )

    assert "CANCELLED" == state, message
    assert [] == live
    assert calls == provider.calls.total()
