"""Every answer carries its id, and every error comes in the envelope."""

import asyncio
import io
import json
import logging
import re
from typing import Any

import pytest
from fakes.edge import KEY, drive, make_app, read_told
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send

from flows.api.errors import ApiError
from flows.api.middleware.envelope import Envelope
from flows.observability.json_logs import choose_formatter


@pytest.fixture
def client() -> TestClient:
    return TestClient(make_app())


def tell(client: TestClient, path: str, method: str = "GET", **asked: Any) -> tuple[int, str]:
    """Status and code of a refusal, after a look at the envelope."""
    answer = client.request(method, path, **asked)
    assert ["error"] == list(answer.json())
    assert {"code", "message", "request_id", "details"} == set(answer.json()["error"])
    assert answer.headers["X-Request-Id"] == answer.json()["error"]["request_id"]
    return answer.status_code, answer.json()["error"]["code"]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        *((name, True) for name in (b"a", b"A-b.c_9", b"x" * 64)),
        *((name, False) for name in (b"", b"x" * 65, b"a b", b"a\tb", b"<a>", b"\xe9")),
    ],
)
def test_id_of_the_client_is_kept_where_it_is_well_formed(client: TestClient, given: bytes, kept: bool) -> None:
    first, second = (client.get("/v1/nothing", headers=[(b"X-Request-Id", given)]) for _ in range(2))
    told = first.headers["X-Request-Id"]

    assert kept == (told == given.decode("latin-1")) == (told == second.headers["X-Request-Id"])
    assert told == first.json()["error"]["request_id"]
    assert kept or re.fullmatch("[0-9a-f]{32}", told)


def test_answer_is_neither_guessed_at_nor_kept_and_allows_no_other_origin(client: TestClient) -> None:
    headers = {"Origin": "https://elsewhere.example", "Access-Control-Request-Method": "GET"}
    answers = [client.request(method, "/v1/health", headers=headers) for method in ("GET", "OPTIONS")]

    for answer in answers:
        assert ("nosniff", "no-store") == (answer.headers["X-Content-Type-Options"], answer.headers["Cache-Control"])
        assert [] == [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/health/", "/v1/docs/", "/redoc"])
def test_unknown_path_is_not_found(client: TestClient, path: str) -> None:
    assert (404, "not_found") == tell(client, path, follow_redirects=False)


@pytest.mark.parametrize("method", ["POST", "OPTIONS", "PROPFIND"])
def test_other_method_is_told_which_are_allowed(client: TestClient, method: str) -> None:
    answer = client.request(method, "/v1/health")

    assert (405, "method_not_allowed") == tell(client, "/v1/health", method)
    assert "GET" == answer.headers["Allow"]
    assert "GET" in answer.json()["error"]["message"]


def test_wrong_query_says_where_and_what(client: TestClient) -> None:
    error = client.get("/v1/models/u22a8.x/traits?limit=many").json()["error"]
    [problem] = error["details"]["problems"]

    assert (422, "invalid_request") == tell(client, "/v1/models/u22a8.x/traits?limit=many")
    assert ("query", "limit") == (problem["in"], problem["field"])
    assert error["message"].startswith("limit: ")


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b"{", (400, "invalid_json")),
        (b"", (400, "invalid_json")),
        (b'{"a": "\xff"}', (400, "invalid_json")),
        (b"[" * 30000, (400, "invalid_json")),
        (b'{"a": "hunter2"}', (422, "invalid_request")),
        (b"[]", (422, "invalid_request")),
    ],
)
def test_body_that_cannot_be_read_is_refused(client: TestClient, sent: bytes, expected: tuple[int, str]) -> None:
    headers = {"Content-Type": "application/json"}

    assert expected == tell(client, "/v1/body", "POST", content=sent, headers=headers)
    assert "hunter2" not in client.post("/v1/body", content=sent, headers=headers).text


def test_error_of_the_surface_keeps_its_details_and_headers(client: TestClient) -> None:
    answer = client.get("/v1/raise/api")

    assert (409, "model_busy") == tell(client, "/v1/raise/api")
    assert ({"run_id": "r1"}, "r1") == (answer.json()["error"]["details"], answer.headers["X-Run-Id"])


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        ("group", (404, "model_not_found")),
        ("two", (500, "internal_error")),
        ("surrogate", (422, "invalid_request")),
        ("leak", (500, "internal_error")),
        ("503", (503, "orchestrator_unavailable")),
        ("418", (418, "invalid_request")),
        ("507", (507, "internal_error")),
        ("unknown", (500, "internal_error")),
    ],
)
def test_whatever_is_raised_comes_in_the_envelope(client: TestClient, what: str, expected: tuple[int, str]) -> None:
    assert expected == tell(client, f"/v1/raise/{what}")


def test_unforeseen_error_is_in_the_log_and_not_in_the_answer(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "flows.api"):
        answer = client.get("/v1/raise/leak?cursor=abc", headers={"Authorization": KEY})
    traceback, line = (record.getMessage() for record in caplog.records if record.name == "flows.api")
    request_id = answer.headers["X-Request-Id"]

    assert "hunter2" not in answer.text
    assert traceback.startswith(f"{request_id} Traceback")
    assert "the password is hunter2, the key Bearer [secret]" in traceback
    assert re.fullmatch(rf"GET /v1/raise/leak 500 \d+ ms {request_id}", line)
    assert KEY.split()[1] not in caplog.text


def test_refusal_takes_one_line_of_the_log_without_its_query(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "flows.api"):
        client.get("/v1/nothing%0Anew?key=hunter2", headers={"X-Request-Id": "mine"})
    [line] = (record.getMessage() for record in caplog.records if record.name == "flows.api")

    assert re.fullmatch(r"GET /v1/nothing%0Anew 404 \d+ ms mine", line)


def test_line_of_json_has_the_request_and_what_came_of_it(client: TestClient) -> None:
    stream, logger = io.StringIO(), logging.getLogger("flows.api")
    handler = logging.StreamHandler(stream)
    handler.setFormatter(choose_formatter("json"))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    asked = [client.get(path, headers={"Authorization": KEY}) for path in ("/v1/health?trait=x", "/v1/raise/leak")]
    logger.removeHandler(handler)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    told = [line for line in lines if "path" in line]

    assert [
        (answer.headers["X-Request-Id"], answer.status_code, "GET", answer.request.url.path) for answer in asked
    ] == [(line["request_id"], line["status"], line["method"], line["path"]) for line in told]
    assert all(0 <= line["seconds"] < 60 for line in told)
    assert {("INFO", "flows.api")} == {(line["level"], line["logger"]) for line in told}
    assert not {"trait=x", KEY.split()[1]} & set(stream.getvalue().replace('"', " ").split())


def test_client_that_is_gone_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    assert [] == drive(Envelope(read_all), {"type": "http.disconnect"})
    assert [] == [record for record in caplog.records if record.levelno > logging.INFO]


def test_answer_that_has_begun_is_not_begun_again() -> None:
    sent = drive(Envelope(fail_in_the_middle))

    assert ["http.response.start", "http.response.body"] == [message["type"] for message in sent]


def test_cancelled_request_is_told_that_the_server_stops() -> None:
    sent = drive(Envelope(be_cancelled))

    assert (503, "internal_error") == read_told(sent)
    assert (b"retry-after", b"5") in sent[0]["headers"]


def test_error_before_the_body_has_come_is_answered_without_it() -> None:
    assert (401, "unauthorized") == read_told(drive(Envelope(refuse), headers=[(b"content-length", b"20")]))


async def read_all(scope: Scope, receive: Receive, send: Send) -> None:
    from starlette.requests import Request

    await Request(scope, receive).body()


async def fail_in_the_middle(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"half", "more_body": True})
    raise ValueError


async def be_cancelled(scope: Scope, receive: Receive, send: Send) -> None:
    raise asyncio.CancelledError


async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
    raise ApiError(401, "unauthorized", "A key is needed.")
