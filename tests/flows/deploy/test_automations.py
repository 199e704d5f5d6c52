"""The automations and the heartbeats that they listen for: their numbers agree, wherever a run is started from."""

import os
from pathlib import Path

import pytest
import yaml
from fakes.workspace import ROOT

from flows.backfill import backfill
from flows.cli.app import quiet_libraries
from flows.deploy.automations import (
    CONTAINER_SECONDS,
    FLOW_NAMES,
    HEARTBEAT_SECONDS,
    SILENCE_SECONDS,
    WATCHES,
    describe_automation,
    list_watches,
)
from flows.prune import prune
from flows.synthesize import synthesize

VARIABLE = "PREFECT_FLOWS_HEARTBEAT_FREQUENCY"


def test_every_deployment_has_the_heartbeats_that_are_listened_for() -> None:
    deployments = yaml.safe_load(Path(ROOT / "prefect.yaml").read_text())["deployments"]
    found = [item["work_pool"]["job_variables"]["env"][VARIABLE] for item in deployments]

    assert [str(HEARTBEAT_SECONDS)] * len(deployments) == found


def test_command_has_the_same_heartbeats(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (VARIABLE, "PREFECT_SERVER_ANALYTICS_ENABLED", "DO_NOT_TRACK"):
        # Set first, so that it is put back as it was.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    quiet_libraries(verbose=True)

    assert str(HEARTBEAT_SECONDS) == os.environ[VARIABLE]


def test_one_late_heartbeat_is_no_silence() -> None:
    assert SILENCE_SECONDS >= 3 * HEARTBEAT_SECONDS


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
