"""The body's limits: over the limit, too slow, or not wanted at all."""

import pytest
from fakes.edge import HOST, drive, read_told
from starlette.requests import Request
from starlette.types import Message, Receive, Scope, Send

from flows.api.middleware.body_limit import BODY_LIMIT_BYTES, SAMPLES_LIMIT_BYTES, BodyLimit
from flows.api.middleware.envelope import Envelope

SAMPLES = "/v1/models/u22a8.a/samples"


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
        ("GET", "/v1/health", BODY_LIMIT_BYTES),
    ],
)
def test_body_of_the_limit_goes_through_and_one_over_it_is_refused(method: str, path: str, limit: int) -> None:
    app = Envelope(BodyLimit(measure))
    [taken] = drive(app, *cut(limit), method=method, target=path)
    refused = drive(app, *cut(limit + 1), method=method, target=path)
    # By its length, before a byte is asked for: a client that asks first whether to go on is spared its body.
    lengths = ([HOST, (b"content-length", b"%d" % size)] for size in (limit + 1, 2**64))
    announced = [drive(app, method=method, target=path, headers=headers) for headers in lengths]

    assert limit == taken["status"]
    assert [(413, "body_too_large")] * 3 == [read_told(sent) for sent in (refused, *announced)]
    assert f'"limit_bytes":{limit}' in refused[1]["body"].decode().replace(" ", "")


def test_slow_body_is_refused_in_time_and_a_client_that_goes_away_gets_no_answer() -> None:
    slow = drive(Envelope(BodyLimit(measure, 0.05)), cut(9)[0])

    assert (400, "invalid_json") == read_told(slow)
    assert "whole within" in slow[1]["body"].decode()
    assert (b"connection", b"close") in slow[0]["headers"]
    assert [] == drive(Envelope(BodyLimit(measure)), cut(9)[0], {"type": "http.disconnect"})


def test_body_with_two_lengths_is_refused_and_what_follows_is_no_request() -> None:
    headers = [HOST, (b"content-length", b"5"), (b"transfer-encoding", b"chunked")]
    sent = drive(Envelope(BodyLimit(measure)), *cut(5), headers=headers)

    assert (400, "invalid_request") == read_told(sent)
    assert (b"connection", b"close") in sent[0]["headers"]
