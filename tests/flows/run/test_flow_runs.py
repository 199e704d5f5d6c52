"""Runs and states: what Prefect says of flow runs, as the surface tells it."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from engine.definitions.lifecycle import Lifecycle
from flows.api.routes.model_status import derive_state
from flows.run.flow_runs import Run, choose_operation, read_run
from flows.run.labels import LeaseLabels

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
DRAFT = Lifecycle("draft")


def answer(state_type: str, **fields: Any) -> Mapping[str, Any]:
    """A flow run as Prefect's API has it."""
    return {
        "id": "9babac40-1978-4ae0-b765-f30fdb6eb7a4",
        "tags": ["exemplars", "model:u22a8.toolshed"],
        "parameters": {"handle": "u22a8.toolshed", "synth_type": "diversify", "effort": "low"},
        "state_type": state_type,
        "state": {"message": None},
        "expected_start_time": NOW.isoformat(),
        "start_time": None,
        "run_count": 1,
        "end_time": None,
        "labels": {},
        **fields,
    }


def run(state_type: str, minutes: int | None = None, held: bool = False, **fields: Any) -> Run:
    """A run that ended, or took its lease, so many minutes ago."""
    if minutes is not None:
        moment = NOW - timedelta(minutes=minutes)
        fields |= {"id": f"run-{minutes}", "start_time": moment.isoformat(), "end_time": moment.isoformat()}
        fields |= {"labels": LeaseLabels("lease" if held else "", moment, "host/1/1").to_labels()}
    return read_run(answer(state_type, **fields), NOW)


@pytest.mark.parametrize(
    ("state_type", "fields", "status", "live", "over"),
    [
        ("SCHEDULED", {}, "queued", True, False),
        ("SCHEDULED", {"expected_start_time": (NOW + timedelta(seconds=2)).isoformat()}, "queued", True, False),
        ("SCHEDULED", {"expected_start_time": (NOW + timedelta(minutes=1)).isoformat()}, "queued", False, False),
        ("PENDING", {}, "queued", True, False),
        ("RUNNING", {}, "running", True, False),
        ("PAUSED", {"state_name": "Paused"}, "running", True, False),
        ("PAUSED", {"state_name": "Suspended"}, "running", False, False),
        ("CANCELLING", {}, "running", True, False),
        ("COMPLETED", {}, "succeeded", False, True),
        ("FAILED", {}, "failed", False, True),
        ("CRASHED", {}, "failed", False, True),
        ("CANCELLED", {}, "cancelled", False, True),
    ],
)
def test_state_of_prefect_becomes_a_status(
    state_type: str, fields: dict[str, Any], status: str, live: bool, over: bool
) -> None:
    read = run(state_type, **fields)

    assert (status, live, over) == (read.status, read.live, read.over)


def test_operation_is_the_holder_then_a_live_run_then_the_newest_that_is_over() -> None:
    holder, queued = run("RUNNING", 5, held=True), run("SCHEDULED")
    newest, older = run("COMPLETED", 10), run("FAILED", 20)
    # The last moment of a run that begun before says nothing.
    crashed_late = run("CRASHED", 30, end_time=NOW.isoformat())
    ended: dict[str, Any] = {"start_time": NOW.isoformat(), "end_time": NOW.isoformat()}
    turned_away, in_queue = run("CANCELLED", **ended), run("CANCELLED", run_count=0, **ended)

    assert holder == choose_operation([queued, holder], [newest])
    assert queued == choose_operation([queued], [newest])
    assert newest == choose_operation([], [crashed_late, turned_away, older, newest])
    assert in_queue == choose_operation([], [in_queue, older])
    assert choose_operation([], []) is None


@pytest.mark.parametrize(
    ("lifecycle", "live", "ended", "state"),
    [
        (DRAFT, [], [], "draft"),
        (DRAFT, [run("SCHEDULED")], [], "busy"),
        (DRAFT, [], [run("FAILED", 1)], "failed"),
        (DRAFT, [], [run("CRASHED", 1), run("COMPLETED", 2)], "failed"),
        (DRAFT, [], [run("COMPLETED", 1), run("CRASHED", 2)], "draft"),
        (DRAFT, [], [run("CANCELLED", 1)], "draft"),
        (Lifecycle("ready", 3, 1), [], [run("FAILED", 1)], "ready"),
        (Lifecycle("archived"), [], [], "archived"),
        (Lifecycle("ready"), [run("RUNNING")], [], "busy"),
    ],
)
def test_state_follows_from_runs_and_the_lifecycle_file(
    lifecycle: Lifecycle, live: list[Run], ended: list[Run], state: str
) -> None:
    assert state == derive_state(lifecycle, bool(live), choose_operation(live, ended))
