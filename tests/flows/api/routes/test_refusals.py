"""What the routes that change a model refuse alike and in the contract's order, and how a key and a handle are read."""

import itertools
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fakes.stored import attach_texts
from fakes.surface import ARCHIVED, BROKEN, PRIVATE, PUBLIC, TRAINED, UNDISCOVERED, UNKNOWN, Surface, read_refusal
from fakes.workspace import HANDLE

from engine.domain.samples import make_id
from flows.api.guard import BODY_LIMIT_BYTES, SAMPLES_LIMIT_BYTES

BODY_ROUTES = ("synthesize", "add")
ROUTES = (*BODY_ROUTES, "delete")
GOOD, BAD = (
    json.dumps({"samples": [{"trait": "clarity", "text": "Press.", "quality": quality}]}).encode() for quality in (1, 2)
)
BODIES = {
    ("synthesize", "good"): b"{}",
    ("synthesize", "bad"): b'{"effort": 1}',
    ("synthesize", "large"): b"x" * (BODY_LIMIT_BYTES + 1),
    ("add", "good"): GOOD,
    ("add", "bad"): BAD,
    ("add", "large"): b"x" * (SAMPLES_LIMIT_BYTES + 1),
    ("delete", "large"): b"x" * (BODY_LIMIT_BYTES + 1),
}


def ask(
    client: httpx.Client, handle: str = HANDLE, route: str = "synthesize", given: str = "good", **options: Any
) -> httpx.Response:
    """A request that is good but for what is said."""
    sample = make_id(handle, "clarity", "One.") if given == "good" else "x"
    method, end = {"synthesize": ("POST", "/synthesize"), "add": ("POST", ""), "delete": ("DELETE", f"/{sample}")}[
        route
    ]
    body = BODIES.get((route, given), given.encode() if route in BODY_ROUTES else b"")
    return client.request(method, f"/models/{handle}/samples{end}", content=body, **options)


@pytest.fixture
def prepared(surface: Surface) -> Iterator[Surface]:
    """Models have a sample of a run, one without traits is no draft either, and Prefect does not answer."""
    for handle in (HANDLE, TRAINED, ARCHIVED):
        attach_texts(surface.samples, handle, ["One."])
    lifecycle = surface.find_model(UNDISCOVERED) / "lifecycle.json"
    lifecycle.write_text('{"state": "ready"}')
    surface.orchestrator.away = True
    yield surface
    lifecycle.unlink()


ORDER = [
    (ROUTES, "nobody", "BAD", "large", 401, "unauthorized"),
    (ROUTES, "author", "BAD", "large", 413, "body_too_large"),
    (ROUTES, "reader", "BAD", "bad", 422, "invalid_handle"),
    (ROUTES, "reader", UNKNOWN, "bad", 404, "model_not_found"),
    (ROUTES, "reader", PRIVATE, "bad", 404, "model_not_found"),
    (ROUTES, "reader", HANDLE, "bad", 403, "forbidden"),
    (ROUTES, "stranger", HANDLE, "bad", 403, "forbidden"),
    (ROUTES, "author", PUBLIC, "bad", 403, "forbidden"),
    (BODY_ROUTES, "author", TRAINED, "", 400, "invalid_json"),
    (BODY_ROUTES, "author", TRAINED, "{", 400, "invalid_json"),
    (ROUTES, "author", TRAINED, "bad", 422, "invalid_request"),
    (BODY_ROUTES, "author", UNDISCOVERED, "bad", 422, "invalid_request"),
    (BODY_ROUTES, "author", UNDISCOVERED, "good", 422, "no_traits"),
    (ROUTES, "author", BROKEN, "good", 422, "invalid_request"),
    (ROUTES, "author", TRAINED, "good", 409, "model_not_draft"),
    (ROUTES, "author", ARCHIVED, "good", 409, "model_not_draft"),
    (ROUTES, "author", HANDLE, "good", 503, "orchestrator_unavailable"),
]


@pytest.mark.parametrize(
    ("route", "client", "handle", "given", "status", "code"),
    [row for routes, *rest in ORDER for row in itertools.product(routes, *([each] for each in rest))],
)
def test_when_several_apply_the_first_of_the_contracts_order_answers(
    prepared: Surface, route: str, client: str, handle: str, given: str, status: int, code: str
) -> None:
    before = prepared.author.get(f"/models/{HANDLE}/samples").json()
    answer = ask(getattr(prepared, client), handle, route, given)

    assert (status, code) == read_refusal(answer)
    assert "X-Run-Id" not in answer.headers
    assert {} == prepared.orchestrator.runs
    assert before == prepared.author.get(f"/models/{HANDLE}/samples").json()


@pytest.mark.parametrize("route", ["add", "delete"])
def test_run_at_work_is_named_and_the_slot_is_free_afterwards(surface: Surface, route: str) -> None:
    attach_texts(surface.samples, HANDLE, ["One."])
    run_id = surface.synthesize(effort="low").json()["run_id"]
    answer = ask(surface.author, route=route)
    surface.orchestrator.end_runs()

    assert (409, "model_busy") == read_refusal(answer)
    assert run_id == answer.headers["X-Run-Id"] == answer.json()["error"]["details"]["run_id"]
    assert 200 == ask(surface.author, route=route).status_code
    assert (202, {}) == (surface.synthesize(effort="low").status_code, surface.orchestrator.slots)


@pytest.mark.parametrize("route", ROUTES)
def test_model_that_may_not_be_read_answers_like_one_that_is_not_there(surface: Surface, route: str) -> None:
    hidden, missing = ask(surface.author, PRIVATE, route), ask(surface.author, UNKNOWN, route)

    assert (404, "model_not_found") == read_refusal(hidden) == read_refusal(missing)
    assert hidden.json()["error"]["message"].replace(PRIVATE, UNKNOWN) == missing.json()["error"]["message"]
    assert "that this key may read: it reads and changes u22a8" in hidden.json()["error"]["message"]
    assert sorted(hidden.headers) == sorted(missing.headers)
    foreign = ask(surface.author, PUBLIC, route).json()["error"]["message"]
    assert f"This key does not own the namespace {PUBLIC.split('.')[0]}: it reads and changes u22a8" in foreign


@pytest.mark.parametrize(
    ("headers", "passes"),
    [
        *(([wrong], False) for wrong in ("Bearer", "Bearer exm_wrong", "Basic dTpw", "Token x", "Bearer é")),
        ([], False),
        (["bEaReR \t{} "], True),
        (["Bearer {}", "Bearer {}"], False),
    ],
)
def test_request_needs_one_key_of_ours(surface: Surface, headers: list[str], passes: bool) -> None:
    sent = [("Authorization", header.format(surface.secret).encode()) for header in headers]
    answer = ask(surface.nobody, headers=sent)

    assert passes == (answer.status_code == 202)
    assert passes or ((401, "unauthorized"), "Bearer") == (read_refusal(answer), answer.headers["WWW-Authenticate"])
