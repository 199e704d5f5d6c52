"""What is refused before a route sees it; every answer carries its id, and every error comes in the envelope."""

import asyncio
import json
import logging
import re
from collections.abc import Sequence

import pytest
from fakes.edge import HOST, OURS, SECRET, drive, guard, read_told
from fakes.surface import ADDRESS, Surface, read_refusal
from fakes.workspace import HANDLE
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Message, Receive, Scope, Send

from flows.api.envelope import Envelope, write_ignored
from flows.api.errors import IGNORED, ApiError
from flows.api.guard import BODY_LIMIT_BYTES, SAMPLES_LIMIT_BYTES

REACHED = 418, "internal_error"
SAMPLES = "/v1/models/u22a8.a/samples"


async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
    """An application that is known by its answer."""
    raise ApiError(418, "internal_error", "A teapot.")


@pytest.mark.parametrize(
    ("hosts", "allowed", "passes"),
    [
        *(((host,), OURS, True) for host in ("LocalHost", "localhost:8000", "localhost:", "[::1]:8")),
        *((("[fe80::1]:8000",), (allowed,), True) for allowed in ("fe80::1", "[FE80::1]")),
        *(((host,), OURS, False) for host in ("", "localhost.evil.com", "evil-localhost", "localhost@evil.com")),
        *(((host,), OURS, False) for host in ("localhost:80:80", "localhost:x", "\xe9", "[::2]", "[::1", "[::1]x")),
        *((hosts, OURS, False) for hosts in ((), ("localhost", "localhost"), ("localhost", "evil.example"))),
    ],
)
def test_host_passes_with_any_port_where_it_is_allowed(
    hosts: tuple[str, ...], allowed: tuple[str, ...], passes: bool
) -> None:
    headers = [(b"host", host.encode("latin-1")) for host in hosts]
    sent = drive(guard(refuse, allowed), *cut(0), headers=headers)

    assert (REACHED if passes else (400, "invalid_request")) == read_told(sent)
    # The refusal tells which variable lets it in.
    assert passes or b"EXEMPLARS_API_ALLOWED_HOSTS" in sent[1]["body"]


@pytest.mark.parametrize(
    ("target", "status", "code"),
    [
        *((f"/v1/models/{encoded}", 404, "not_found") for encoded in ("a%2Fb/traits", "x/traits%0a")),
        *((path, 404, "not_found") for path in ("/v1%2fhealth", "/v1//health", "/v1/health%00", "/v1/health%0a")),
        *((path, 404, "not_found") for path in ("/", "/v1/health/", "/redoc")),
        *((f"/v1/models/{handle}/traits", 422, "invalid_handle") for handle in ("%2e%2e", "a%0ab", "%ff")),
        ("/v1/models?limit=%2f", 422, "invalid_request"),
    ],
)
def test_path_is_found_as_it_was_sent(surface: Surface, target: str, status: int, code: str) -> None:
    assert (status, code) == read_refusal(surface.author.get(ADDRESS + target))


async def measure(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the size of the body as its status."""
    body = await Request(scope, receive).body()
    await send({"type": "http.response.start", "status": len(body), "headers": []})


def cut(size: int, piece: int = 65536) -> list[Message]:
    """A body in pieces, as it comes in."""
    sizes = [*[piece] * (size // piece), size % piece]
    pieces: list[Message] = [{"type": "http.request", "body": b"x" * each, "more_body": True} for each in sizes]
    return [*pieces, {"type": "http.request", "body": b""}]


@pytest.mark.parametrize(
    ("method", "path", "limit"),
    [
        ("POST", SAMPLES, SAMPLES_LIMIT_BYTES),
        ("PUT", SAMPLES, BODY_LIMIT_BYTES),
        ("POST", f"{SAMPLES}/synthesize", BODY_LIMIT_BYTES),
    ],
)
def test_body_of_the_limit_goes_through_and_one_over_it_is_refused(method: str, path: str, limit: int) -> None:
    app, known = guard(measure), (HOST, SECRET)
    [taken] = drive(app, *cut(limit), method=method, target=path, headers=known)
    refused = drive(app, *cut(limit + 1), method=method, target=path, headers=known)
    # By its length, before a byte is asked for: a client that asks first whether to go on is spared its body.
    lengths = ([*known, (b"content-length", b"%d" % size)] for size in (limit + 1, 2**64))
    announced = [drive(app, method=method, target=path, headers=headers) for headers in lengths]

    assert limit == taken["status"]
    assert [(413, "body_too_large")] * 3 == [read_told(sent) for sent in (refused, *announced)]
    assert f'"limit_bytes":{limit}' in refused[1]["body"].decode().replace(" ", "")


def test_client_that_goes_away_gets_no_answer() -> None:
    assert [] == drive(guard(measure), cut(9)[0], {"type": "http.disconnect"})


def test_body_with_two_lengths_is_refused_and_what_follows_is_no_request() -> None:
    headers = [HOST, (b"content-length", b"5"), (b"transfer-encoding", b"chunked")]
    sent = drive(guard(measure), *cut(5), headers=headers)

    assert (400, "invalid_request") == read_told(sent)
    assert (b"connection", b"close") in sent[0]["headers"]


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


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (UNKNOWN, 404, "model_not_found"),
        (ValueError("other"), 500, "internal_error"),
        (ApiError(422, "invalid_request", "half a pair: \ud800"), 422, "invalid_request"),
        (HTTPException(418), 500, "internal_error"),
        # The server stops.
        (asyncio.CancelledError(), 503, "internal_error"),
    ],
)
def test_whatever_goes_wrong_comes_in_the_envelope(error: BaseException, status: int, code: str) -> None:
    # Its body has not come yet.
    sent = fail(error, headers=[HOST, (b"content-length", b"20")])

    assert (status, code) == read_told(sent)
    assert isinstance(error, asyncio.CancelledError) == ((b"retry-after", b"5") in sent[0]["headers"])


def test_request_takes_one_line_of_the_log_without_its_query_and_an_unforeseen_error_its_traceback(
    surface: Surface, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "flows.api"):
        surface.author.get("/nothing%0Anew?key=hunter1", headers={"X-Request-Id": "mine"})
        [_, body] = fail(ValueError("the password is hunter2"), "/v1/leak?cursor=abc")
    refused, failed, line = (record for record in caplog.records if record.name == "flows.api")
    request_id = json.loads(body["body"])["error"]["request_id"]

    assert b"hunter" not in body["body"]
    assert re.fullmatch(r"GET /v1/nothing%0Anew 404 \d+ ms mine", refused.getMessage())
    assert f"{request_id} failed" == failed.getMessage()
    assert "the password is hunter2" in str(failed.exc_info)
    assert re.fullmatch(rf"GET /v1/leak 500 \d+ ms {request_id}", line.getMessage())
    # What a line of JSON has.
    told = {"request_id": request_id, "method": "GET", "path": "/v1/leak", "status": 500}
    assert told.items() <= vars(line).items()
    assert 0 <= vars(line)["seconds"] < 60


NGINX_HEAD_BYTES, SMILE = 4096, "%F0%9F%98%80"


@pytest.mark.parametrize(
    ("names", "written"),
    [
        (["efort", "", "efort", "prio"], "efort, prio"),
        (["a\r\nSet-Cookie: x=1"], "a%0D%0ASet-Cookie%3A%20x%3D1"),
        (["a, b", "Größe"], "a%2C%20b, Gr%C3%B6%C3%9Fe"),
        (["\0"], "%00"),
        (["x" * 32, "x" * 33], f"{'x' * 32}, {'x' * 31}%E2%80%A6"),
        ([*"abcdefghijkl"], "a, b, c, d, e, f, g, h, i, j"),
        (["\U0001f600" * 31 + str(number) for number in range(10)], ", ".join(f"{SMILE * 31}{n}" for n in range(10))),
    ],
)
def test_names_are_one_header(names: Sequence[str], written: str) -> None:
    assert written == write_ignored({"state": {IGNORED: names}})
    assert len(written) < NGINX_HEAD_BYTES


def test_mistyped_field_is_named_with_the_run_that_it_starts_and_once_in_the_log(
    surface: Surface, caplog: pytest.LogCaptureFixture
) -> None:
    answer = surface.synthesize(efort="low")
    [run] = surface.orchestrator.runs.values()
    with caplog.at_level(logging.INFO, "flows.api"):
        again = surface.synthesize(efort="low")

    assert [(202, "efort"), (409, "efort")] == [(each.status_code, each.headers[IGNORED]) for each in (answer, again)]
    assert {"handle": HANDLE, "synth_type": "from_traits", "effort": "high"} == run["parameters"]
    assert 1 == caplog.text.count(f"{again.headers['X-Request-Id']} ignored: efort")


@pytest.mark.parametrize(
    ("path", "ignored"),
    [
        (f"/models/{HANDLE}/samples?trai=clarity&limit=1", "trai"),
        (f"/models/{HANDLE}?a%0D%0Ab=1&secret", "a%0D%0Ab"),
        ("/models?Limit=1", "Limit"),
        (f"/models/{HANDLE}/samples?trait=clarity&limit=1", None),
        ("/models?namespace=u22a8&limit=1&state=draft&kind=scoring", None),
    ],
)
@pytest.mark.parametrize("accept", ["*/*", "text/markdown"])
def test_mistyped_parameter_is_named_and_what_is_read_whole_has_no_such_header(
    surface: Surface, path: str, ignored: str | None, accept: str
) -> None:
    assert ignored == surface.author.get(path, headers={"Accept": accept}).headers.get(IGNORED)
