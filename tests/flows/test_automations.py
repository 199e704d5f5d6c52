"""The automations and the heartbeats that they listen for: their numbers agree, wherever a run is started from."""

import os
from pathlib import Path

import pytest
import yaml
from fakes.workspace import ROOT

from flows.automations import FLOW_NAME, HEARTBEAT_SECONDS, SILENCE_SECONDS, WATCHES, describe_automation
from flows.cli import quiet_libraries
from flows.synthesize import synthesize

VARIABLE = "PREFECT_FLOWS_HEARTBEAT_FREQUENCY"


def test_every_deployment_has_the_heartbeats_that_are_listened_for() -> None:
    deployments = yaml.safe_load(Path(ROOT / "prefect.yaml").read_text())["deployments"]
    found = {item["name"]: item["work_pool"]["job_variables"]["env"][VARIABLE] for item in deployments}

    assert dict.fromkeys(found, str(HEARTBEAT_SECONDS)) == found


def test_command_has_the_same_heartbeats(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (VARIABLE, "PREFECT_SERVER_ANALYTICS_ENABLED", "DO_NOT_TRACK"):
        # Set first, so that it is put back as it was.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    quiet_libraries(verbose=True)

    assert str(HEARTBEAT_SECONDS) == os.environ[VARIABLE]


def test_one_late_heartbeat_is_no_silence() -> None:
    assert SILENCE_SECONDS >= 3 * HEARTBEAT_SECONDS


def test_watches_are_of_the_main_job_alone() -> None:
    automations = [describe_automation(watch) for watch in WATCHES]
    related = [automation.model_dump(mode="json")["trigger"]["match_related"] for automation in automations]

    assert synthesize.name == FLOW_NAME
    assert [{"prefect.resource.role": "flow", "prefect.resource.name": "synthesize"}] * 3 == related


def test_each_watch_ends_what_it_watches_by_an_event_that_ends_the_watch() -> None:
    ended = {watch.outcome.value.capitalize() for watch in WATCHES}

    assert {"Crashed", "Cancelled"} == ended
    assert all(ended <= {*watch.expected} for watch in WATCHES)
