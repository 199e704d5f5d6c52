"""The automations: which runs they watch, for how long, and how each watch ends."""

from fnmatch import fnmatchcase
from typing import Any

from prefect.client.schemas.objects import StateType

from flows.backfill import backfill
from flows.batches.flow import batches
from flows.catalogue.flow import catalogue
from flows.deploy.automations import CONTAINER_SECONDS, name_left_event, read_automations
from flows.deploy.unfinished_runs import FLOW_NAMES, UNFINISHED
from flows.prune import prune
from flows.review.flow import review
from flows.run.labels import AGAIN
from flows.run.run_events import HEARTBEAT, HEARTBEAT_SECONDS
from flows.synthesize import synthesize


def read_dumped(containers: bool) -> dict[StateType, Any]:
    """The automations by the state that they watch; that of paused runs is the second step of that of running ones."""
    dumped = [automation.model_dump(mode="json") for automation in read_automations(containers)]
    return dict(zip((*UNFINISHED, StateType.PAUSED), dumped, strict=True))


def test_each_unfinished_state_of_our_flows_has_a_watch_that_ends_and_that_the_deploy_step_can_begin() -> None:
    watches = read_dumped(containers=False)
    second = watches.pop(StateType.PAUSED)

    assert {flow.name for flow in (synthesize, backfill, prune, review, catalogue, batches)} == set(FLOW_NAMES)
    [first] = watches[StateType.RUNNING]["actions"]
    assert ("PAUSED", [f"prefect.flow-run.{first['name']}"]) == (first["state"], second["trigger"]["expect"])
    watches[StateType.RUNNING]["actions"] = second["actions"]
    assert ["CRASHED", "CRASHED", "CANCELLED"] == [watch["actions"][0]["state"] for watch in watches.values()]
    for state, watch in watches.items():
        trigger = watch["trigger"]
        assert {"prefect.resource.role": "flow", "prefect.resource.name": [*FLOW_NAMES]} == trigger["match_related"]
        assert {name_left_event(state), f"prefect.flow-run.{state.value.capitalize()}"} <= {*trigger["after"]}
        for event in ("prefect.flow-run.Crashed", "prefect.flow-run.Cancelled"):
            assert any(fnmatchcase(event, expected) for expected in trigger["expect"])
        # Who loses a run that had begun is told that its replies are kept.
        assert (state is not StateType.PENDING) == watch["actions"][0]["message"].endswith(AGAIN)


def test_three_heartbeats_are_waited_for_and_a_container_may_take_longer_to_start() -> None:
    processes, containers = read_dumped(containers=False), read_dumped(containers=True)
    trigger = processes[StateType.RUNNING]["trigger"]
    processes[StateType.PENDING]["trigger"]["within"] = CONTAINER_SECONDS

    assert 3 * HEARTBEAT_SECONDS == trigger["within"]
    assert HEARTBEAT in trigger["after"]
    assert any(fnmatchcase(HEARTBEAT, expected) for expected in trigger["expect"])
    assert processes == containers
