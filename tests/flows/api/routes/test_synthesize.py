"""`POST /v1/models/{handle}/samples/synthesize`: each row of the contract's table, and their order."""

import json
import logging
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from fakes.surface import (
    ARCHIVED,
    BARE,
    BROKEN,
    PRIVATE,
    PUBLIC,
    SEEDED,
    TRAINED,
    UNDISCOVERED,
    UNKNOWN,
    Surface,
    read_refusal,
)
from fakes.workspace import HANDLE

from flows.api.middleware.body_limit import BODY_LIMIT_BYTES
from flows.runs.flow_runs import ENDED_TYPES
from flows.runs.labels import SUSPENDED, LeaseLabels

PATH = "/models/{}/samples/synthesize"
TOO_LARGE = b"y" * (BODY_LIMIT_BYTES + 1)


def ask(client: httpx.Client, handle: str = HANDLE, **options: Any) -> httpx.Response:
    """A request with an empty object for a body where nothing else is said."""
    return client.post(PATH.format(handle), **({"json": {}} | options if "content" not in options else options))


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
        ({"effort": "low"}, {"synth_type": "from_traits", "effort": "low"}, "already_running"),
        ({"effort": None}, {"effort": "high"}, "already_running"),
        ({"effort": None}, {}, "already_running"),
        ({"effort": None}, {"effort": "low"}, "model_busy"),
        ({"effort": "low"}, {"effort": "medium"}, "model_busy"),
        ({"effort": "low"}, {"synth_type": "diversify", "effort": "low"}, "model_busy"),
    ],
)
def test_second_request_is_a_conflict_that_names_the_run(
    surface: Surface, first: dict[str, Any], second: dict[str, Any], code: str
) -> None:
    run_id = surface.synthesize(SEEDED, **first).json()["run_id"]
    refused = surface.synthesize(SEEDED, **second)
    details = refused.json()["error"]["details"]

    assert (409, code) == read_refusal(refused)
    assert run_id == refused.headers["X-Run-Id"] == details["run_id"]
    assert ("from_traits", first["effort"] or "high", "queued") == tuple(
        details[name] for name in ("synth_type", "effort", "status")
    )
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


@pytest.mark.parametrize("state", ["SCHEDULED", "PENDING", "RUNNING", "PAUSED", "CANCELLING"])
def test_run_of_the_ui_makes_the_model_busy(surface: Surface, state: str) -> None:
    run_id = surface.orchestrator.add_run(handle=HANDLE, effort="low")
    surface.orchestrator.set_state(run_id, state)
    answer = surface.synthesize(effort="low")

    assert (409, "already_running") == read_refusal(answer)
    assert run_id == answer.headers["X-Run-Id"]


def test_model_can_be_synthesized_again_when_its_run_is_over(surface: Surface) -> None:
    for state in ENDED_TYPES:
        assert 202 == surface.synthesize().status_code
        surface.orchestrator.end_runs(state)

    assert len(ENDED_TYPES) == len(surface.orchestrator.runs)


def test_suspended_run_of_the_ui_leaves_the_model_free_and_one_that_was_asked_for_here_does_not(
    surface: Surface,
) -> None:
    surface.orchestrator.set_state(surface.orchestrator.add_run(handle=HANDLE), "PAUSED", name=SUSPENDED)
    made = surface.synthesize(effort="low")
    surface.orchestrator.set_state(made.json()["run_id"], "PAUSED", name=SUSPENDED)
    again = surface.synthesize(effort="low")

    assert 202 == made.status_code
    assert (409, "already_running") == read_refusal(again)
    assert made.json()["run_id"] == again.headers["X-Run-Id"]


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


@pytest.mark.parametrize(
    ("handle", "body", "status", "code"),
    [
        (HANDLE, {"synth_type": "enrich"}, 422, "invalid_request"),
        (UNDISCOVERED, {}, 422, "no_traits"),
        (BARE, {"synth_type": "diversify"}, 422, "no_seed_samples"),
        (BROKEN, {}, 422, "invalid_request"),
        (ARCHIVED, {}, 409, "model_not_draft"),
    ],
)
def test_what_cannot_be_synthesized_is_refused_without_a_run(
    surface: Surface, handle: str, body: object, status: int, code: str
) -> None:
    answer = ask(surface.author, handle, json=body)

    assert (status, code) == read_refusal(answer)
    assert "X-Run-Id" not in answer.headers
    assert {} == surface.orchestrator.runs


@pytest.mark.parametrize(
    "handle", ["toolshed", "u22a8.Tool", "u22a8.", "u22a8.a.b", "%2e%2e", "%00", "u22a8.x%0A", "u22a8.%ff", "a" * 300]
)
def test_malformed_handle_is_422(surface: Surface, handle: str) -> None:
    assert (422, "invalid_handle") == read_refusal(ask(surface.author, handle))


def test_body_at_the_limit_is_taken(surface: Surface) -> None:
    exact = json.dumps({"x": "y" * (BODY_LIMIT_BYTES - len(json.dumps({"x": ""})))})

    assert 64 * 1024 == len(exact)
    assert 202 == ask(surface.author, content=exact, headers={"Content-Type": "application/json"}).status_code


@pytest.mark.parametrize("header", [None, "Bearer", "Bearer exm_wrong", "Basic dTpw", "Token x", "Bearer é"])
def test_no_or_a_wrong_key_is_401(surface: Surface, header: str | None) -> None:
    answer = ask(surface.nobody, headers={} if header is None else {"Authorization": header.encode()})

    assert (401, "unauthorized") == read_refusal(answer)
    assert "Bearer" == answer.headers["WWW-Authenticate"]


def test_key_counts_once_and_bearer_in_any_case(surface: Surface) -> None:
    once, key = [("Authorization", f"bEaReR \t{surface.secret} ")], ("Authorization", f"Bearer {surface.secret}")

    assert (401, "unauthorized") == read_refusal(ask(surface.nobody, headers=[key, key]))
    assert 202 == ask(surface.nobody, headers=once).status_code


def test_model_that_may_not_be_read_answers_like_one_that_is_not_there(surface: Surface) -> None:
    hidden, missing = ask(surface.author, PRIVATE), ask(surface.author, UNKNOWN)

    assert (404, "model_not_found") == read_refusal(hidden) == read_refusal(missing)
    assert hidden.json()["error"]["message"].replace(PRIVATE, UNKNOWN) == missing.json()["error"]["message"]
    assert sorted(hidden.headers) == sorted(missing.headers)


@pytest.mark.parametrize(
    ("client", "handle", "content", "status", "code"),
    [
        ("nobody", "BAD", TOO_LARGE, 401, "unauthorized"),
        ("author", "BAD", TOO_LARGE, 413, "body_too_large"),
        ("author", "BAD", b"", 422, "invalid_handle"),
        ("reader", UNKNOWN, b"", 404, "model_not_found"),
        ("reader", PRIVATE, b"", 404, "model_not_found"),
        ("reader", HANDLE, b"", 403, "forbidden"),
        ("stranger", HANDLE, b"", 403, "forbidden"),
        ("author", PUBLIC, b"", 403, "forbidden"),
        ("author", TRAINED, b"", 400, "invalid_json"),
        ("author", TRAINED, b"{", 400, "invalid_json"),
        ("author", TRAINED, b'{"effort": 1}', 422, "invalid_request"),
        ("author", UNDISCOVERED, b'{"effort": 1}', 422, "invalid_request"),
        ("author", "u22a8.ready-to-discover", b"{}", 422, "no_traits"),
        ("author", TRAINED, b"{}", 409, "model_not_draft"),
        ("author", HANDLE, b"{}", 503, "orchestrator_unavailable"),
    ],
)
def test_when_several_apply_the_first_of_the_contracts_order_answers(
    surface: Surface, client: str, handle: str, content: bytes, status: int, code: str
) -> None:
    ready = surface.find_model("u22a8.ready-to-discover")
    ready.mkdir(exist_ok=True)
    (ready / "model.yaml").write_text("traits: discover\n")
    (ready / "lifecycle.json").write_text('{"state": "ready"}')
    surface.orchestrator.away = True
    answer = ask(getattr(surface, client), handle, content=content)
    for file in (*ready.iterdir(), ready):
        file.rmdir() if file.is_dir() else file.unlink()

    assert (status, code) == read_refusal(answer)


def test_run_of_which_nobody_is_sure_is_503_and_says_so(surface: Surface) -> None:
    surface.orchestrator.away = True
    away = surface.synthesize()
    surface.orchestrator.away, surface.orchestrator.unsure = False, True
    unsure = surface.synthesize()
    surface.orchestrator.unsure = False

    assert (503, "orchestrator_unavailable") == read_refusal(away) == read_refusal(unsure)
    assert "Nothing was enqueued" in away.json()["error"]["message"]
    assert "is not known" in unsure.json()["error"]["message"]
    assert "Nothing was enqueued" not in unsure.json()["error"]["message"]
    assert int(away.headers["Retry-After"]) > 0
    assert 202 == surface.synthesize().status_code


def test_other_methods_are_405_and_told_what_is_allowed(surface: Surface) -> None:
    for method in ("GET", "PATCH", "DELETE", "OPTIONS"):
        answer = surface.author.request(method, PATH.format(HANDLE))
        assert (405, "method_not_allowed") == read_refusal(answer)
        assert "POST" == answer.headers["Allow"]
    assert "GET, POST" == surface.author.put(f"/models/{HANDLE}/samples").headers["Allow"]


def test_no_secret_is_in_a_run_in_the_log_or_in_the_file_of_keys(
    surface: Surface, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "flows.api"):
        surface.synthesize()
        ask(surface.nobody, headers={"Authorization": "Bearer exm_mistyped-secret-of-somebody"})
    written = str(surface.orchestrator.runs) + (surface.workspace.folder / "keys.json").read_text()

    assert 2 == caplog.text.count("POST /v1/models/")
    assert surface.secret not in written + caplog.text
    assert "mistyped-secret" not in caplog.text
