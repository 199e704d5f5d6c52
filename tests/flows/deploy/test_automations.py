"""The automations: which runs they watch, for how long, and how each watch ends."""

from typing import Any
from uuid import UUID

from prefect.client.schemas.objects import StateType
from prefect.events.actions import CallWebhook
from prefect.events.schemas.automations import AutomationCore

from flows.backfill import backfill
from flows.catalogue import catalogue
from flows.deploy.automations import CONTAINER_SECONDS, name_left_event, read_alert, read_automations
from flows.deploy.unfinished_runs import FLOW_NAMES, UNFINISHED
from flows.prune import prune
from flows.review import review
from flows.runs.heartbeat import EVENT, HEARTBEAT_SECONDS
from flows.runs.labels import AGAIN
from flows.synthesize import synthesize

AUTOMATIONS = dict(zip(UNFINISHED, read_automations(containers=False), strict=True))


def dump(automation: AutomationCore) -> Any:
    return automation.model_dump(mode="json")


def test_watches_are_of_our_flows_alone() -> None:
    assert {synthesize.name, backfill.name, prune.name, review.name, catalogue.name} == set(FLOW_NAMES)
    assert [{"prefect.resource.role": "flow", "prefect.resource.name": list(FLOW_NAMES)}] * 3 == [
        dump(automation)["trigger"]["match_related"] for automation in AUTOMATIONS.values()
    ]


def test_each_unfinished_state_has_a_watch_that_the_deploy_step_can_begin() -> None:
    for state, automation in AUTOMATIONS.items():
        begins = {name_left_event(state), f"prefect.flow-run.{state.value.capitalize()}"}

        assert begins <= {*dump(automation)["trigger"]["after"]}


def test_three_heartbeats_are_waited_for() -> None:
    trigger = dump(AUTOMATIONS[StateType.RUNNING])["trigger"]

    assert 3 * HEARTBEAT_SECONDS == trigger["within"]
    assert EVENT in trigger["after"]
    assert EVENT in trigger["expect"]


def test_container_may_take_longer_to_start_and_nothing_else() -> None:
    process, container = ([dump(found) for found in read_automations(containers)] for containers in (False, True))
    process[UNFINISHED.index(StateType.PENDING)]["trigger"]["within"] = CONTAINER_SECONDS

    assert process == container


def test_each_watch_ends_what_it_watches_by_an_event_that_ends_the_watch() -> None:
    dumped = [dump(automation) for automation in AUTOMATIONS.values()]
    ended = {automation["actions"][0]["state"] for automation in dumped}

    assert {"CRASHED", "CANCELLED"} == ended
    for automation in dumped:
        assert {f"prefect.flow-run.{state.capitalize()}" for state in ended} <= {*automation["trigger"]["expect"]}


def test_who_loses_a_run_that_had_begun_is_told_that_its_replies_are_kept() -> None:
    messages = {state: dump(automation)["actions"][0]["message"] for state, automation in AUTOMATIONS.items()}

    assert [True, False, True] == [messages[state].endswith(AGAIN) for state in UNFINISHED]


def test_alert_goes_to_its_block_and_links_to_the_ui() -> None:
    block = UUID(int=7)
    [action] = read_alert(block, "http://prefect:4200").actions

    assert isinstance(action, CallWebhook)
    assert block == action.block_document_id
    assert action.payload.startswith('{% set url = "http://prefect:4200/runs/flow-run/" ~ flow_run.id %}{')
