"""`POST /v1/models/{handle}/samples/synthesize`: each row of the contract's table, and their order."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fakes.surface import ARCHIVED, BARE, BROKEN, PRIVATE, PUBLIC, SEEDED, TRAINED, UNDISCOVERED, UNKNOWN, Surface
from fakes.workspace import HANDLE

pytestmark = pytest.mark.slow

PATH = "/models/{}/samples/synthesize"
TOO_LARGE = b'{"x": "' + b"y" * 70_000 + b'"}'


@pytest.fixture(autouse=True)
def nothing_runs(surface: Surface) -> Iterator[None]:
    """No run is under way, before and after."""
    yield
    surface.end_runs()


def read_refusal(response: httpx.Response) -> tuple[int, str]:
    """Status and code of an answer that is the envelope and nothing else."""
    envelope = response.json()
    assert ["error"] == list(envelope)
    error = envelope["error"]
    assert ["code", "details", "message", "request_id"] == sorted(error)
    assert response.headers["X-Request-Id"] == error["request_id"]
    assert isinstance(error["details"], dict)
    assert error["message"]
    return response.status_code, error["code"]


def ask(client: httpx.Client, handle: str = HANDLE, **options: Any) -> httpx.Response:
    """A request with an empty object for a body where nothing else is said."""
    return client.post(PATH.format(handle), **({"json": {}} | options if "content" not in options else options))


def test_run_is_enqueued(surface: Surface) -> None:
    answer = surface.synthesize(synth_type="from_traits", effort="low")
    run = surface.site.ask("GET", f"/flow_runs/{answer.json()['run_id']}")

    assert 202 == answer.status_code
    assert {"state": "busy", "run_id": run["id"]} == answer.json()
    assert {
        "handle": HANDLE,
        "synth_type": "from_traits",
        "effort": "low",
        "only_lacking": False,
        "review": False,
    } == run["parameters"]
    assert f"model:{HANDLE}" in run["tags"]
    assert "SCHEDULED" == run["state_type"]
    assert answer.headers["X-Request-Id"]
    assert "X-Run-Id" not in answer.headers


def test_same_request_again_is_a_conflict_that_names_the_run(surface: Surface) -> None:
    first = surface.synthesize(effort="low").json()["run_id"]
    again = surface.synthesize(synth_type="from_traits", effort="low")

    assert (409, "already_running") == read_refusal(again)
    assert first == again.headers["X-Run-Id"] == again.json()["error"]["details"]["run_id"]


@pytest.mark.parametrize("body", [{"effort": "medium"}, {"synth_type": "diversify", "effort": "low"}])
def test_another_request_finds_the_model_busy(surface: Surface, body: dict[str, str]) -> None:
    first = surface.synthesize(SEEDED, effort="low").json()["run_id"]
    other = surface.synthesize(SEEDED, **body)

    assert (409, "model_busy") == read_refusal(other)
    assert first == other.headers["X-Run-Id"] == other.json()["error"]["details"]["run_id"]


def test_effort_compared_is_the_one_that_the_run_will_use(surface: Surface) -> None:
    first = surface.synthesize(effort=None).json()["run_id"]

    assert "high" == surface.site.ask("GET", f"/flow_runs/{first}")["parameters"]["effort"]
    assert (409, "already_running") == read_refusal(surface.synthesize(effort="high"))
    assert (409, "already_running") == read_refusal(surface.synthesize())
    assert (409, "model_busy") == read_refusal(surface.synthesize(effort="low"))


def test_models_own_effort_is_the_default(surface: Surface) -> None:
    definition = surface.door.workspace.model.with_name(BARE) / "model.yaml"
    before = definition.read_text()
    definition.write_text(f"effort: medium\n{before}")
    run_id = surface.synthesize(BARE).json()["run_id"]
    definition.write_text(before)

    assert "medium" == surface.site.ask("GET", f"/flow_runs/{run_id}")["parameters"]["effort"]


@pytest.mark.parametrize("state", ["COMPLETED", "FAILED", "CRASHED", "CANCELLED"])
def test_model_can_be_synthesized_again_when_its_run_is_over(surface: Surface, state: str) -> None:
    first = surface.synthesize().json()["run_id"]
    surface.end_runs(state)
    second = surface.synthesize()

    assert 202 == second.status_code
    assert first != second.json()["run_id"]


@pytest.mark.parametrize("state", ["PENDING", "RUNNING", "PAUSED", "CANCELLING"])
def test_run_of_the_ui_makes_the_model_busy(surface: Surface, state: str) -> None:
    run_id = surface.site.start_run(effort="low")
    surface.set_state(run_id, "RUNNING")
    surface.set_state(run_id, state)
    answer = surface.synthesize(effort="low")
    surface.set_state(run_id, "CANCELLED")

    assert (409, "already_running") == read_refusal(answer)
    assert run_id == answer.headers["X-Run-Id"]


def test_deleted_run_frees_the_model(surface: Surface) -> None:
    first = surface.synthesize().json()["run_id"]
    surface.site.ask("DELETE", f"/flow_runs/{first}")
    second = surface.synthesize()

    assert 202 == second.status_code
    assert first != second.json()["run_id"]


def test_deployment_that_was_made_anew_is_found(surface: Surface) -> None:
    surface.synthesize()
    surface.end_runs()
    deployment = surface.site.ask("GET", "/deployments/name/synthesize/on-demand")["id"]
    surface.site.ask("DELETE", f"/deployments/{deployment}")
    without = surface.synthesize()
    surface.site.deploy()
    anew = surface.synthesize()

    assert (503, "orchestrator_unavailable") == read_refusal(without)
    assert "no deployment synthesize/on-demand" in without.json()["error"]["message"]
    assert 202 == anew.status_code


@pytest.mark.parametrize("handle", [TRAINED, ARCHIVED])
def test_model_that_is_no_draft_is_a_conflict_without_a_run(surface: Surface, handle: str) -> None:
    answer = ask(surface.author, handle)

    assert (409, "model_not_draft") == read_refusal(answer)
    assert "X-Run-Id" not in answer.headers


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"synth_type": "enrich"}, "invalid_request"),
        ({"synth_type": "translate"}, "invalid_request"),
        ({"synth_type": None}, "invalid_request"),
        ({"synth_type": 3}, "invalid_request"),
        ({"effort": "extreme"}, "invalid_request"),
        ({"effort": 3}, "invalid_request"),
        ([], "invalid_request"),
    ],
)
def test_body_that_makes_no_sense_is_422(surface: Surface, body: object, code: str) -> None:
    assert (422, code) == read_refusal(ask(surface.author, json=body))


@pytest.mark.parametrize(
    ("handle", "body", "code"),
    [
        (UNDISCOVERED, {}, "no_traits"),
        (BARE, {"synth_type": "diversify"}, "no_seed_samples"),
        (BROKEN, {}, "invalid_request"),
    ],
)
def test_model_that_cannot_be_synthesized_for_is_422(
    surface: Surface, handle: str, body: dict[str, str], code: str
) -> None:
    assert (422, code) == read_refusal(ask(surface.author, handle, json=body))


@pytest.mark.parametrize(
    "handle", ["toolshed", "u22a8.Tool", "u22a8.", "u22a8.a.b", "..", "%00", "u22a8.x%0A", "u22a8.%ff", "a" * 300]
)
def test_malformed_handle_is_422(surface: Surface, handle: str) -> None:
    assert (422, "invalid_handle") == read_refusal(ask(surface.author, handle.replace("..", "%2e%2e")))


@pytest.mark.parametrize("content", [b"", b"synth_type=diversify", b"{"])
def test_body_that_is_not_json_is_400(surface: Surface, content: bytes) -> None:
    assert (400, "invalid_json") == read_refusal(ask(surface.author, content=content))


def test_body_over_the_limit_is_413_with_and_without_a_length(surface: Surface) -> None:
    assert (413, "body_too_large") == read_refusal(ask(surface.author, content=TOO_LARGE))
    assert (413, "body_too_large") == read_refusal(ask(surface.author, content=iter([TOO_LARGE])))


def test_body_at_the_limit_is_taken(surface: Surface) -> None:
    filled = json.dumps({"x": ""})
    exact = json.dumps({"x": "y" * (64 * 1024 - len(filled))}).encode()

    assert 64 * 1024 == len(exact)
    assert 202 == ask(surface.author, content=exact, headers={"Content-Type": "application/json"}).status_code


@pytest.mark.parametrize("header", [None, "Bearer", "Bearer exm_wrong", "Basic dTpw", "Token x", "Bearer \xff"])
def test_no_or_a_wrong_key_is_401(surface: Surface, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header.encode("latin-1")}
    answer = ask(surface.nobody, headers=headers)

    assert (401, "unauthorized") == read_refusal(answer)
    assert "Bearer" == answer.headers["WWW-Authenticate"]


def test_bearer_counts_in_any_case(surface: Surface) -> None:
    headers = {"Authorization": f"bEaReR {surface.door.secret}"}

    assert 202 == ask(surface.nobody, headers=headers).status_code


def test_scope_and_namespace_that_do_not_permit_it_are_403(surface: Surface) -> None:
    assert (403, "forbidden") == read_refusal(ask(surface.reader))
    assert (403, "forbidden") == read_refusal(ask(surface.stranger, HANDLE))
    assert (403, "forbidden") == read_refusal(ask(surface.author, PUBLIC))


def test_model_that_may_not_be_read_answers_like_one_that_is_not_there(surface: Surface) -> None:
    hidden, missing = ask(surface.author, PRIVATE), ask(surface.author, UNKNOWN)

    assert (404, "model_not_found") == read_refusal(hidden) == read_refusal(missing)
    assert hidden.json()["error"]["message"].replace(PRIVATE, UNKNOWN) == missing.json()["error"]["message"]
    assert sorted(hidden.headers) == sorted(missing.headers)


@pytest.mark.parametrize(
    ("client", "handle", "content", "status"),
    [
        ("nobody", "BAD", TOO_LARGE, 401),
        ("author", "BAD", TOO_LARGE, 413),
        ("author", "BAD", b"", 422),
        ("reader", UNKNOWN, b"", 404),
        ("reader", PRIVATE, b"", 404),
        ("reader", HANDLE, b"", 403),
        ("author", TRAINED, b"", 400),
        ("author", TRAINED, b'{"effort": 1}', 422),
        ("author", UNDISCOVERED, b'{"effort": 1}', 422),
        ("author", TRAINED, b"{}", 409),
    ],
)
def test_when_several_apply_the_first_of_the_contracts_order_answers(
    surface: Surface, client: str, handle: str, content: bytes, status: int
) -> None:
    asking: httpx.Client = getattr(surface, client)

    assert status == read_refusal(ask(asking, handle, content=content))[0]


def test_no_traits_comes_before_not_a_draft(surface: Surface) -> None:
    lifecycle = surface.door.workspace.model.with_name(UNDISCOVERED) / "lifecycle.json"
    lifecycle.write_text('{"state": "ready"}')
    answer = ask(surface.author, UNDISCOVERED)
    lifecycle.unlink()

    assert (422, "no_traits") == read_refusal(answer)


def test_other_content_type_is_422(surface: Surface) -> None:
    answer = ask(surface.author, content=b"{}", headers={"Content-Type": "text/plain"})

    assert (422, "invalid_request") == read_refusal(answer)


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_other_methods_are_405_and_told_what_is_allowed(surface: Surface, method: str) -> None:
    answer = surface.author.request(method, PATH.format(HANDLE))

    assert (405, "method_not_allowed") == read_refusal(answer)
    assert "POST" == answer.headers["Allow"]


def test_trailing_slash_and_encoded_slash_are_404(surface: Surface) -> None:
    assert (404, "not_found") == read_refusal(surface.author.post(PATH.format(HANDLE) + "/", json={}))
    assert (404, "not_found") == read_refusal(ask(surface.author, HANDLE.replace(".", "%2F")))
    assert (404, "not_found") == read_refusal(surface.author.get(f"/models/{HANDLE}%2ftraits"))


def test_no_secret_is_in_prefect_or_in_the_log(surface: Surface) -> None:
    run_id = surface.synthesize().json()["run_id"]
    run = json.dumps(surface.site.ask("GET", f"/flow_runs/{run_id}"))
    ask(surface.nobody, headers={"Authorization": "Bearer exm_mistyped-secret-of-somebody"})

    assert surface.door.secret not in run
    assert surface.door.secret not in surface.door.read_log()
    assert "mistyped-secret" not in surface.door.read_log()
    assert surface.door.secret not in surface.door.keys_file.read_text()
