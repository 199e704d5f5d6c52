"""Runs of deployments that wait for a provider's batch, and the collector's deployment that has them go on."""

from collections.abc import Iterator

import pytest
from fakes.batch_waker import STEPS, kill_waking
from fakes.batches import Manner
from fakes.long import choose, longer
from fakes.stack import Stack
from fakes.surface import read_refusal
from fakes.workspace import read_kept
from sqlalchemy import text

from engine.backfills.ledger import read_ledger
from engine.llm.batches.outbox import Outbox
from engine.settings import read_settings

pytestmark = pytest.mark.usefixtures("taken_here")
DAY_SECONDS = 86_000.0
SUM_BUDGETS = text(
    "SELECT budget, count(*) AS calls, sum(CASE WHEN ended THEN 0 ELSE 1 END) AS open_calls FROM exemplars_calls "
    "WHERE budget IS NOT NULL GROUP BY budget"
)


@pytest.fixture(autouse=True)
def entered(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The outbox is that of the stack, and a batch takes nearly a day; the test's own batches count alone."""
    stack.workspace.enter(monkeypatch)
    stack.server.batches.clear()
    stack.server.manner = Manner(seconds=DAY_SECONDS)
    yield
    with Outbox(read_settings().replies_place) as outbox:
        for run in outbox.find_runs():
            outbox.end(run.run_id)
    stack.server.manner = Manner()


def is_collecting(stack: Stack) -> bool:
    """Whether the collector's schedule is on."""
    [schedule] = stack.site.find_deployment("batches/collect")["schedules"]
    return bool(schedule["active"])


def collect(stack: Stack) -> str:
    """Has the collector do a pass, in which every batch is due; what its state says."""
    deployment = stack.site.find_deployment("batches/collect")
    with Outbox(read_settings().replies_place) as outbox:
        outbox.change(lambda connection: connection.execute(text("UPDATE exemplars_batches SET next_poll_at = 0")))
    # Where the schedule's own is under way, this one is cancelled.
    while True:
        run = stack.site.ask("POST", f"/deployments/{deployment['id']}/create_flow_run", parameters={})
        state, message = stack.wait_for_end(run["id"])
        if state != "CANCELLED":
            assert "COMPLETED" == state, message
            return message


def read_page(stack: Stack, run_id: str) -> str:
    """What the run's page shows as its verdict, and in a few words as its progress."""
    found = stack.site.ask("POST", "/artifacts/filter", artifacts={"flow_run_id": {"any_": [run_id]}})
    shown = {each["key"] or each["type"]: each for each in found}
    return f"{shown['verdict']['data']}\n{shown['progress']['description']}"


def count_states(stack: Stack, run_id: str, kind: str) -> int:
    """How often a run came into states of a kind."""
    return [state["type"] for state in stack.site.ask("GET", f"/flow_run_states/?flow_run_id={run_id}")].count(kind)


def count_open() -> tuple[int, int]:
    """Runs that wait, and batches that are not over."""
    with Outbox(read_settings().replies_place) as outbox:
        return len(outbox.find_runs()), sum(batch.state != "over" for batch in outbox.list_batches())


def test_run_that_waits_is_collected_and_goes_on_under_its_own_id(stack: Stack, handle: str) -> None:
    run_id = stack.site.start_run(handle=handle, batch="first")
    stack.wait_until_suspended(run_id)
    said, is_on = stack.site.read_state(run_id)[1], is_collecting(stack)
    logged = stack.site.ask("POST", "/logs/filter", logs={"flow_run_id": {"any_": [run_id]}, "level": {"ge_": 40}})
    refused = stack.author.post(f"/models/{handle}/samples/synthesize", json={"effort": "low"})
    state, told = stack.wait_for_end(stack.site.start_run(handle=handle, batch="first"))
    sent = collect(stack)
    page, live = read_page(stack, run_id), stack.provider.calls.total()
    stack.server.advance(DAY_SECONDS)
    collected = collect(stack)
    ended = stack.wait_for_end(run_id)
    last = collect(stack)

    assert said.startswith("32 calls wait for a provider's batch")
    assert is_on
    assert (409, "already_running") == read_refusal(refused)
    assert run_id == refused.headers["X-Run-Id"]
    assert "CANCELLED" == state
    assert run_id in told
    assert "1 batch sent, 0 replies kept. 0 runs resumed" == sent
    assert "32 calls went to the provider in a batch at 20" in page
    assert "Waits: 32 calls will go to the provider in its next batch" in page
    assert [] == logged
    assert "0 batches sent, 32 replies kept. 1 run resumed" == collected
    assert ("COMPLETED", "16 attached") == (ended[0], ended[1].partition(",")[0])
    assert {1} == set(stack.server.submitted.values()) == set(stack.server.billed.values())
    assert live + 32 == stack.provider.calls.total()
    assert read_kept(stack.workspace.find_set(run_id))["cost_usd"].min() > 0
    assert ("0 batches sent, 0 replies kept. 0 runs resumed", False) == (last, is_collecting(stack))


def test_backfill_s_models_wait_and_a_part_goes_on_with_them_under_its_limit(stack: Stack, handle: str) -> None:
    handles = [handle, stack.add_model("batched second"), stack.add_model("batched third")]
    asked = {"effort": "low", "namespace": None, "handles": handles, "batch": "first", "max_cost_usd": 5.0}
    run_id = stack.site.start("backfill", **asked)
    ended, is_on = stack.wait_for_end(run_id), is_collecting(stack)
    with Outbox(read_settings().replies_place) as outbox:
        waiting = {run.handle: run.run_id for run in outbox.find_runs()}
    states = {stack.site.read_state(waiting[name])[0] for name in handles}
    again_id = stack.site.start("backfill", **asked)
    again = stack.wait_for_end(again_id)
    sent = collect(stack)
    stack.server.advance(DAY_SECONDS)
    collected = collect(stack)
    # Another pass while the part is under way.
    meanwhile = collect(stack)
    models = [stack.wait_for_end(waiting[name]) for name in handles]
    parts = {"tags": {"all_": ["part"]}, "parent_flow_run_id": {"any_": [run_id]}}
    [part] = stack.site.ask("POST", "/flow_runs/filter", flow_runs=parts)
    part_ended = stack.wait_for_end(part["id"])
    collect(stack)
    with Outbox(read_settings().replies_place) as outbox:
        spent = outbox.read(lambda connection: connection.execute(SUM_BUDGETS).all())

    waits = "0 of 3 models have their samples; 3 models wait for a provider's batch"
    assert [("COMPLETED", waits)] * 2 == [ended, again]
    assert ({"PAUSED"}, True) == (states, is_on)
    assert {"in a batch": 3} == read_ledger(str(stack.workspace.samples), again_id).count()
    assert "1 batch sent, 0 replies kept. 0 runs resumed" == sent
    assert "0 batches sent, 96 replies kept. 3 runs resumed" == collected
    assert "0 batches sent, 0 replies kept. 0 runs resumed" == meanwhile
    assert {"COMPLETED"} == {state for state, _ in models}
    assert ("COMPLETED", "3 of 3 models") == (part_ended[0], part_ended[1][:13])
    assert {1} == set(stack.server.submitted.values()) == set(stack.server.billed.values())
    assert len(stack.server.submitted) == 96
    # What was asked in the batch and live, before it and after it, counts under one limit.
    [(budget, calls, open_calls)] = [row for row in spent if row.budget.endswith(run_id)]
    assert (f"backfill {run_id}", stack.provider.calls.total(), 0) == (budget, calls, open_calls)
    assert 1 == len(spent)
    assert ((0, 0), False) == (count_open(), is_collecting(stack))


def test_run_that_is_cancelled_while_it_waits_sends_nothing(stack: Stack, handle: str) -> None:
    run_id = stack.site.start_run(handle=handle, batch="first")
    stack.wait_until_suspended(run_id)
    stack.site.ask("POST", f"/flow_runs/{run_id}/set_state", state={"type": "CANCELLING"})
    ended = stack.wait_for_end(run_id)
    passed = collect(stack)

    assert "CANCELLED" == ended[0]
    assert "0 batches sent, 0 replies kept. 0 runs resumed" == passed
    assert ({}, (0, 0), False) == (stack.server.batches, count_open(), is_collecting(stack))


@longer
def test_collector_that_is_killed_while_runs_go_on_leaves_the_others_to_the_next(stack: Stack, handle: str) -> None:
    count, kills = choose(once=2, at_length=20), choose(once=1, at_length=20)
    handles = [handle, *(stack.add_model(f"killed waking {number}") for number in range(1, count))]
    run_ids = {name: stack.site.start_run(handle=name, batch="first") for name in handles}
    for run_id in run_ids.values():
        stack.wait_until_suspended(run_id)
    collect(stack)
    live = stack.provider.calls.total()
    stack.server.advance(DAY_SECONDS)
    with Outbox(read_settings().replies_place) as outbox:
        outbox.change(lambda connection: connection.execute(text("UPDATE exemplars_batches SET next_poll_at = 0")))
    killed = {
        # Each that is killed when it has resumed one leaves one fewer.
        step: sum(kill_waking(stack.site.url, stack.workspace.variables, step) for _ in range(min(kills, count - 1)))
        for step in STEPS
    }
    collect(stack)
    ended = {stack.wait_for_end(run_id)[0] for run_id in run_ids.values()}
    begun = [count_states(stack, run_id, "RUNNING") for run_id in run_ids.values()]
    # No pass that was killed goes on in the next test, and the schedule is off.
    stack.site.end_runs()
    collect(stack)
    print(f"\nKills {killed}; {count} runs resumed, begun {begun} times")

    assert not is_collecting(stack)
    assert dict.fromkeys(STEPS, min(kills, count - 1)) == killed
    assert {"COMPLETED"} == ended
    assert {2} == set(begun)
    assert {1} == set(stack.server.submitted.values()) == set(stack.server.billed.values())
    assert 32 * count == len(stack.server.submitted)
    assert live + 32 * count == stack.provider.calls.total()
    assert (0, 0) == count_open()
