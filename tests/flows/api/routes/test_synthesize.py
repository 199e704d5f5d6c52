"""`POST /v1/models/{handle}/samples/synthesize`: what makes a run, and which run makes a model busy."""

from datetime import UTC, datetime
from typing import Any

import pytest
from fakes.surface import BARE, SEEDED, Surface, read_refusal
from fakes.workspace import HANDLE

from flows.runs.flow_runs import ENDED_TYPES
from flows.runs.labels import SUSPENDED, LeaseLabels


def test_run_is_enqueued(surface: Surface) -> None:
    answer = surface.synthesize(synth_type="from_traits", effort="low")
    [run] = surface.orchestrator.runs.values()

    assert (202, {"state": "busy", "run_id": run["id"]}) == (answer.status_code, answer.json())
    assert {"handle": HANDLE, "synth_type": "from_traits", "effort": "low"} == run["parameters"]
    assert answer.headers["X-Request-Id"]
    assert "X-Run-Id" not in answer.headers


@pytest.mark.parametrize(
    ("first", "second", "code"),
    [
        ("low", {"synth_type": "from_traits", "effort": "low"}, "already_running"),
        (None, {"effort": "high"}, "already_running"),
        (None, {"effort": "low"}, "model_busy"),
        ("low", {"synth_type": "diversify", "effort": "low"}, "model_busy"),
    ],
)
def test_second_request_is_a_conflict_that_names_the_run(
    surface: Surface, first: str | None, second: dict[str, Any], code: str
) -> None:
    run_id = surface.synthesize(SEEDED, effort=first).json()["run_id"]
    refused = surface.synthesize(SEEDED, **second)
    details = refused.json()["error"]["details"]

    assert (409, code) == read_refusal(refused)
    assert run_id == refused.headers["X-Run-Id"] == details["run_id"]
    assert {"synth_type": "from_traits", "effort": first or "high", "status": "queued"}.items() <= details.items()
    assert [run_id] == list(surface.orchestrator.runs)


def test_models_own_effort_is_the_default(surface: Surface) -> None:
    definition = surface.find_model(BARE) / "model.yaml"
    before = definition.read_text()
    definition.write_text(f"effort: medium\n{before}")
    surface.synthesize(BARE)
    # The form leaves it to the run.
    pressed = surface.orchestrator.add_run(handle=BARE, effort=None)
    same = surface.synthesize(BARE, effort="medium")
    definition.write_text(before)
    [made, _] = surface.orchestrator.runs.values()

    assert "medium" == made["parameters"]["effort"]
    assert (409, "already_running") == read_refusal(same)
    assert pressed == same.headers["X-Run-Id"]


@pytest.mark.parametrize("state", ["SCHEDULED", "PENDING", "RUNNING", "PAUSED", "CANCELLING", *ENDED_TYPES])
def test_run_of_the_ui_makes_the_model_busy_until_it_is_over(surface: Surface, state: str) -> None:
    run_id = surface.orchestrator.add_run(handle=HANDLE, effort="low")
    surface.orchestrator.set_state(run_id, state)
    answer = surface.synthesize(effort="low")

    assert (202 if state in ENDED_TYPES else 409) == answer.status_code
    assert (None if state in ENDED_TYPES else run_id) == answer.headers.get("X-Run-Id")


def test_suspended_run_of_the_ui_leaves_the_model_free_and_one_of_ours_does_not(surface: Surface) -> None:
    surface.orchestrator.set_state(surface.orchestrator.add_run(handle=HANDLE), "PAUSED", name=SUSPENDED)
    made = surface.synthesize(effort="low").json()["run_id"]
    surface.orchestrator.set_state(made, "PAUSED", name=SUSPENDED)
    again = surface.synthesize(effort="low")

    assert (409, "already_running") == read_refusal(again)
    assert made == again.headers["X-Run-Id"]


def test_of_several_runs_the_one_that_holds_the_lease_is_named(surface: Surface) -> None:
    holder, waiting = (surface.orchestrator.add_run(handle=HANDLE, effort="low") for _ in range(2))
    lease = LeaseLabels("lease", datetime(2026, 11, 25, tzinfo=UTC), "here/1")
    surface.orchestrator.runs[holder]["labels"] = lease.to_labels()
    busy = surface.synthesize(effort="high")
    first = surface.author.get(f"/models/{HANDLE}").json()["last_operation"]["run_id"]
    surface.orchestrator.runs[holder]["labels"] = lease.released().to_labels()
    surface.orchestrator.runs[waiting]["labels"] = lease.to_labels()

    assert holder == busy.headers["X-Run-Id"] == first
    assert waiting == surface.synthesize(effort="high").headers["X-Run-Id"]


def test_run_of_which_nobody_is_sure_is_503_and_says_so(surface: Surface) -> None:
    surface.orchestrator.away = True
    away = surface.synthesize()
    surface.orchestrator.away, surface.orchestrator.unsure = False, True
    unsure = surface.synthesize()
    surface.orchestrator.unsure = False

    assert (503, "orchestrator_unavailable") == read_refusal(away) == read_refusal(unsure)
    assert [True, False] == ["Nothing was enqueued" in answer.text for answer in (away, unsure)]
    assert [False, True] == ["is not known" in answer.text for answer in (away, unsure)]
    assert int(away.headers["Retry-After"]) > 0
    assert 202 == surface.synthesize().status_code
