"""Every answer carries its id, and every error comes in the envelope."""

import asyncio
import logging
import re
from typing import Any

import pytest
from fakes.edge import KEY, drive, make_app, read_told
from starlette.requests import Request
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send

from flows.api.errors import ApiError
from flows.api.middleware.envelope import Envelope

JSON = {"Content-Type": "application/json"}


@pytest.fixture
def client() -> TestClient:
    return TestClient(make_app())


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        *((name, True) for name in (b"A-b.c_9", b"x" * 64)),
        *((name, False) for name in (b"", b"x" * 65, b"a b", b"<a>", b"\xe9")),
    ],
)
def test_id_of_the_client_is_kept_where_it_is_well_formed(client: TestClient, given: bytes, kept: bool) -> None:
    answer = client.get("/v1/nothing", headers=[(b"X-Request-Id", given)])
    told = answer.headers["X-Request-Id"]

    assert kept == (told == given.decode("latin-1"))
    assert told == answer.json()["error"]["request_id"]
    assert kept or re.fullmatch("[0-9a-f]{32}", told)


def test_answer_is_neither_guessed_at_nor_kept_and_allows_no_other_origin(client: TestClient) -> None:
    headers = {"Origin": "https://elsewhere.example", "Access-Control-Request-Method": "GET"}
    for method in ("GET", "OPTIONS"):
        answer = client.request(method, "/v1/health", headers=headers)
        assert ("nosniff", "no-store") == (answer.headers["X-Content-Type-Options"], answer.headers["Cache-Control"])
        assert [] == [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    ("method", "path", "sent", "status", "code"),
    [
        *(("GET", path, {}, 404, "not_found") for path in ("/", "/v1", "/v1/health/", "/v1/docs/", "/redoc")),
        *((method, "/v1/health", {}, 405, "method_not_allowed") for method in ("POST", "OPTIONS", "PROPFIND")),
        ("GET", "/v1/models/u22a8.x/traits?limit=many", {}, 422, "invalid_request"),
        ("POST", "/v1/body", {"content": b"{", "headers": JSON}, 400, "invalid_json"),
        ("POST", "/v1/body", {"content": b"", "headers": JSON}, 400, "invalid_json"),
        ("POST", "/v1/body", {"content": b"[" * 30000, "headers": JSON}, 400, "invalid_json"),
        ("POST", "/v1/body", {"content": b'{"a": "hunter2"}', "headers": JSON}, 422, "invalid_request"),
        ("GET", "/v1/raise/api", {}, 409, "model_busy"),
        ("GET", "/v1/raise/group", {}, 404, "model_not_found"),
        ("GET", "/v1/raise/two", {}, 500, "internal_error"),
        ("GET", "/v1/raise/surrogate", {}, 422, "invalid_request"),
        ("GET", "/v1/raise/503", {}, 503, "orchestrator_unavailable"),
        ("GET", "/v1/raise/418", {}, 418, "invalid_request"),
        ("GET", "/v1/raise/507", {}, 507, "internal_error"),
    ],
)
def test_whatever_goes_wrong_comes_in_the_envelope(
    client: TestClient, method: str, path: str, sent: dict[str, Any], status: int, code: str
) -> None:
    answer = client.request(method, path, follow_redirects=False, **sent)
    error = answer.json()["error"]

    assert (status, code, ["error"]) == (answer.status_code, error["code"], list(answer.json()))
    assert {"code", "message", "request_id", "details"} == set(error)
    assert answer.headers["X-Request-Id"] == error["request_id"]
    assert "hunter2" not in answer.text


def test_refusal_keeps_its_details_and_headers(client: TestClient) -> None:
    busy, other, wrong = (
        client.request(method, path)
        for method, path in (("GET", "/v1/raise/api"), ("POST", "/v1/health"), ("GET", "/v1/models/x/traits?limit=x"))
    )
    [problem] = wrong.json()["error"]["details"]["problems"]

    assert ({"run_id": "r1"}, "r1") == (busy.json()["error"]["details"], busy.headers["X-Run-Id"])
    assert "GET" == other.headers["Allow"]
    assert "GET" in other.json()["error"]["message"]
    assert ("query", "limit") == (problem["in"], problem["field"])
    assert wrong.json()["error"]["message"].startswith("limit: ")


def test_request_takes_one_line_of_the_log_without_its_query_and_an_unforeseen_error_its_traceback(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "flows.api"):
        client.get("/v1/nothing%0Anew?key=hunter1", headers={"X-Request-Id": "mine"})
        answer = client.get("/v1/raise/leak?cursor=abc", headers={"Authorization": KEY})
    records = [record for record in caplog.records if record.name == "flows.api"]
    refused, traceback, line = (record.getMessage() for record in records)
    request_id = answer.headers["X-Request-Id"]

    assert "hunter" not in answer.text
    assert re.fullmatch(r"GET /v1/nothing%0Anew 404 \d+ ms mine", refused)
    assert traceback.startswith(f"{request_id} Traceback")
    assert "the password is hunter2, the key Bearer [secret]" in traceback
    assert re.fullmatch(rf"GET /v1/raise/leak 500 \d+ ms {request_id}", line)
    assert KEY.split()[1] not in caplog.text
    # What a line of JSON has.
    told = {"request_id": request_id, "method": "GET", "path": "/v1/raise/leak", "status": 500}
    assert told.items() <= vars(records[2]).items()
    assert 0 <= vars(records[2])["seconds"] < 60


def test_client_that_is_gone_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    assert [] == drive(Envelope(read_all), {"type": "http.disconnect"})
    assert [] == [record for record in caplog.records if record.levelno > logging.INFO]


def test_error_comes_once_and_a_server_that_stops_tells_so() -> None:
    begun, cancelled = drive(Envelope(fail_in_the_middle)), drive(Envelope(be_cancelled))

    assert ["http.response.start", "http.response.body"] == [message["type"] for message in begun]
    assert (503, "internal_error") == read_told(cancelled)
    assert (b"retry-after", b"5") in cancelled[0]["headers"]
    # Before the body has come.
    assert (401, "unauthorized") == read_told(drive(Envelope(refuse), headers=[(b"content-length", b"20")]))


async def read_all(scope: Scope, receive: Receive, send: Send) -> None:
    await Request(scope, receive).body()


async def fail_in_the_middle(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"half", "more_body": True})
    raise ValueError


async def be_cancelled(scope: Scope, receive: Receive, send: Send) -> None:
    raise asyncio.CancelledError


async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
    raise ApiError(401, "unauthorized", "A key is needed.")
