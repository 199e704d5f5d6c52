"""Every answer carries its id, and every error comes in the envelope."""

import asyncio
import json
import logging
import re
from collections.abc import Sequence

import pytest
from fakes.edge import HOST, drive, read_told
from fakes.surface import ADDRESS, Surface, read_refusal
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Message, Receive, Scope, Send

from flows.api.errors import ApiError
from flows.api.middleware.envelope import Envelope

KEY = b"Bearer exk_a-secret-of-the-tests"
BUSY = ApiError(409, "model_busy", "Busy.", {"run_id": "r1"}, {"X-Run-Id": "r1"})
UNKNOWN = ApiError(404, "model_not_found", "No such model.")


def fail(error: BaseException, target: str = "/", headers: Sequence[tuple[bytes, bytes]] = (HOST,)) -> list[Message]:
    """What is sent where an application fails before a body has come."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise error

    return drive(Envelope(app), method="GET", target=target, headers=headers)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        *((name, True) for name in (b"A-b.c_9", b"x" * 64)),
        *((name, False) for name in (b"", b"x" * 65, b"a b", b"<a>", b"\xe9")),
    ],
)
def test_id_of_the_client_is_kept_where_it_is_well_formed(surface: Surface, given: bytes, kept: bool) -> None:
    answer = surface.author.get("/nothing", headers=[(b"X-Request-Id", given)])
    told = answer.headers["X-Request-Id"]

    assert kept == (told == given.decode("latin-1"))
    assert (404, "not_found") == read_refusal(answer)
    assert kept or re.fullmatch("[0-9a-f]{32}", told)


@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
def test_answer_is_neither_guessed_at_nor_kept_and_allows_no_other_origin(surface: Surface, method: str) -> None:
    asked = {"Origin": "https://elsewhere.example", "Access-Control-Request-Method": "GET"}
    headers = surface.nobody.request(method, "/health", headers=asked).headers

    assert ("nosniff", "no-store") == (headers["X-Content-Type-Options"], headers["Cache-Control"])
    assert [] == [name for name in headers if name.startswith("access-control")]


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/health/", "/v1/docs/", "/redoc"])
def test_other_path_is_404(surface: Surface, path: str) -> None:
    assert (404, "not_found") == read_refusal(surface.author.get(ADDRESS + path))


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (BUSY, 409, "model_busy"),
        (ExceptionGroup("one", [UNKNOWN]), 404, "model_not_found"),
        (ExceptionGroup("two", [UNKNOWN, ValueError("other")]), 500, "internal_error"),
        (ApiError(422, "invalid_request", "half a pair: \ud800"), 422, "invalid_request"),
        (HTTPException(503), 503, "orchestrator_unavailable"),
        (HTTPException(418), 418, "invalid_request"),
        (HTTPException(507), 507, "internal_error"),
        # The server stops.
        (asyncio.CancelledError(), 503, "internal_error"),
    ],
)
def test_whatever_goes_wrong_comes_in_the_envelope(error: BaseException, status: int, code: str) -> None:
    # Its body has not come yet.
    sent = fail(error, headers=[HOST, (b"content-length", b"20")])

    assert (status, code) == read_told(sent)
    assert isinstance(error, asyncio.CancelledError) == ((b"retry-after", b"5") in sent[0]["headers"])


def test_refusal_keeps_its_details_and_headers(surface: Surface) -> None:
    head, body = fail(BUSY)
    error = surface.author.get("/models?limit=x").json()["error"]
    [problem] = error["details"]["problems"]

    assert {"run_id": "r1"} == json.loads(body["body"])["error"]["details"]
    assert (b"x-run-id", b"r1") in head["headers"]
    assert ("query", "limit") == (problem["in"], problem["field"])
    assert error["message"].startswith("limit: ")


def test_request_takes_one_line_of_the_log_without_its_query_and_an_unforeseen_error_its_traceback(
    surface: Surface, caplog: pytest.LogCaptureFixture
) -> None:
    leak = ValueError(f"the password is hunter2, the key {KEY.decode()}")
    with caplog.at_level(logging.INFO, "flows.api"):
        surface.author.get("/nothing%0Anew?key=hunter1", headers={"X-Request-Id": "mine"})
        [_, body] = fail(leak, "/v1/leak?cursor=abc", [HOST, (b"authorization", KEY)])
    records = [record for record in caplog.records if record.name == "flows.api"]
    refused, traceback, line = (record.getMessage() for record in records)
    request_id = json.loads(body["body"])["error"]["request_id"]

    assert b"hunter" not in body["body"]
    assert re.fullmatch(r"GET /v1/nothing%0Anew 404 \d+ ms mine", refused)
    assert traceback.startswith(f"{request_id} Traceback")
    assert "the password is hunter2, the key Bearer [secret]" in traceback
    assert re.fullmatch(rf"GET /v1/leak 500 \d+ ms {request_id}", line)
    # What a line of JSON has.
    told = {"request_id": request_id, "method": "GET", "path": "/v1/leak", "status": 500}
    assert told.items() <= vars(records[2]).items()
    assert 0 <= vars(records[2])["seconds"] < 60


def test_client_that_is_gone_and_an_answer_that_has_begun_get_no_more(caplog: pytest.LogCaptureFixture) -> None:
    async def read_all(scope: Scope, receive: Receive, send: Send) -> None:
        await Request(scope, receive).body()

    async def fail_in_the_middle(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise ValueError

    assert [] == drive(Envelope(read_all), {"type": "http.disconnect"})
    assert [] == [record for record in caplog.records if record.levelno > logging.INFO]
    assert ["http.response.start"] == [message["type"] for message in drive(Envelope(fail_in_the_middle))]
