"""`POST /v1/models/{handle}/samples/synthesize`: its body, what makes a run, and which run makes a model busy."""

from datetime import UTC, datetime
from typing import Any, get_args

import httpx
import pytest
from fakes.surface import BARE, SEEDED, Surface, read_refusal
from fakes.workspace import HANDLE

from engine.domain.model import Effort
from flows.run.flow_runs import ENDED_TYPES
from flows.run.labels import SUSPENDED, LeaseLabels

JSON = "application/json"


def send(surface: Surface, body: bytes, content_type: str | None = JSON) -> httpx.Response:
    headers = {} if content_type is None else {"Content-Type": content_type}
    return surface.author.post(f"/models/{SEEDED}/samples/synthesize", content=body, headers=headers)


@pytest.mark.parametrize(
    ("body", "content_type", "expected", "ignored"),
    [
        (b'\xef\xbb\xbf{"effort": null}', JSON, ("from_traits", "high"), None),
        (b"{}", "Application/JSON; charset=utf-8", ("from_traits", "high"), None),
        (b"{}", "application/problem+json", ("from_traits", "high"), None),
        (b"{}", None, ("from_traits", "high"), None),
        *((b'{"effort": "%s"}' % each.encode(), JSON, ("from_traits", each), None) for each in get_args(Effort)),
        (b'{"synth_type": "diversify", "effort": "low"}', JSON, ("diversify", "low"), None),
        # Of a name that stands there twice the last one counts.
        (b'{"effort": "low", "effort": "max", "x": {"effort": 1}, "x": 2}', JSON, ("from_traits", "max"), "x"),
        (b'{"Effort": "low", "SYNTH_TYPE": 1}', JSON, ("from_traits", "high"), "Effort, SYNTH_TYPE"),
    ],
)
def test_body_is_read_defaults_hold_and_unknown_fields_are_named(
    surface: Surface, body: bytes, content_type: str | None, expected: tuple[str, str], ignored: str | None
) -> None:
    answer = send(surface, body, content_type)
    [run] = surface.orchestrator.runs.values()

    assert (202, ignored) == (answer.status_code, answer.headers.get("X-Ignored-Fields"))
    assert expected == (run["parameters"]["synth_type"], run["parameters"]["effort"])


@pytest.mark.parametrize(
    ("body", "content_type", "status", "said"),
    [
        *((wrong, JSON, 400, "not JSON") for wrong in (b'{"x": NaN}', b"[" * 60_000, b'{"x": "\xff"}', b"{} x")),
        (b"effort=low", "text/plain", 400, "not JSON"),
        *((b"{}", wrong, 422, "content type") for wrong in ("text/plain", "", "json")),
        (b"[]", JSON, 422, "body"),
        *(
            (b'{"synth_type": %s}' % wrong, JSON, 422, "synth_type")
            for wrong in (b"null", b'"enrich"', b'"From_Traits"')
        ),
        *((b'{"effort": %s}' % wrong, JSON, 422, "effort") for wrong in (b'"highest"', b"1", b"{}")),
    ],
)
def test_body_that_is_not_json_is_400_and_other_json_422(
    surface: Surface, body: bytes, content_type: str, status: int, said: str
) -> None:
    answer = send(surface, body, content_type)

    assert (status, "invalid_json" if status == 400 else "invalid_request") == read_refusal(answer)
    assert said in answer.json()["error"]["message"]
    assert {} == surface.orchestrator.runs


@pytest.mark.parametrize(
    ("first", "second", "code"),
    [
        (None, {"effort": "high"}, "already_running"),
        (None, {"effort": "low"}, "model_busy"),
        ("low", {"synth_type": "diversify", "effort": "low"}, "model_busy"),
    ],
)
def test_second_request_is_a_conflict_that_names_the_run(
    surface: Surface, first: str | None, second: dict[str, Any], code: str
) -> None:
    made = surface.synthesize(SEEDED, effort=first)
    [run_id] = surface.orchestrator.runs
    refused = surface.synthesize(SEEDED, **second)
    details = refused.json()["error"]["details"]

    assert (202, {"state": "busy", "run_id": run_id}) == (made.status_code, made.json())
    assert "X-Run-Id" not in made.headers
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
    surface.orchestrator.unsure = True
    unsure = surface.synthesize()

    assert (503, "orchestrator_unavailable") == read_refusal(unsure)
    assert "is not known" in unsure.text
