"""The automations: which runs they watch, for how long, and how each watch ends."""

from flows.backfill import backfill
from flows.deploy.automations import (
    CONTAINER_SECONDS,
    FLOW_NAMES,
    WATCHES,
    describe_automation,
    list_watches,
)
from flows.prune import prune
from flows.synthesize import synthesize


def test_watches_are_of_our_flows_alone() -> None:
    automations = [describe_automation(watch) for watch in WATCHES]
    related = [automation.model_dump(mode="json")["trigger"]["match_related"] for automation in automations]

    assert {synthesize.name, backfill.name, prune.name} == set(FLOW_NAMES)
    assert [{"prefect.resource.role": "flow", "prefect.resource.name": list(FLOW_NAMES)}] * 3 == related


def test_container_may_take_longer_to_start_and_nothing_else() -> None:
    process, container = list_watches(containers=False), list_watches(containers=True)
    changed = [(old, new) for old, new in zip(process, container, strict=True) if old != new]

    assert WATCHES == process
    assert [("PENDING", CONTAINER_SECONDS)] == [(new.state.value, new.within_seconds) for _, new in changed]


def test_each_watch_ends_what_it_watches_by_an_event_that_ends_the_watch() -> None:
    ended = {watch.outcome.value.capitalize() for watch in WATCHES}

    assert {"Crashed", "Cancelled"} == ended
    assert all(ended <= {*watch.expected} for watch in WATCHES)
