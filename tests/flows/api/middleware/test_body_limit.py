"""The body's limits, against the real server: over the limit, too slow, asked for first, or not wanted at all."""

import shutil
import subprocess
from pathlib import Path

import httpx
import pytest
from fakes.edge import Edge, is_closed_on, read_answers

from flows.api.middleware.body_limit import BODY_LIMIT_BYTES, SAMPLES_LIMIT_BYTES

pytestmark = pytest.mark.slow

HEAD = b"POST /v1/size HTTP/1.1\r\nHost: localhost\r\n"
CURL = shutil.which("curl")
BIG = 10 * 1024 * 1024


def chunk(*pieces: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in (*pieces, b""))


def send(edge: Edge, content: bytes, method: str = "POST") -> httpx.Response:
    return httpx.request(method, f"{edge.address}/v1/size", content=content, timeout=30)


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_body_of_the_limit_goes_through(edge: Edge, method: str) -> None:
    assert {"bytes": BODY_LIMIT_BYTES} == send(edge, b"x" * BODY_LIMIT_BYTES, method).json()


@pytest.mark.parametrize("method", ["POST", "GET"])
@pytest.mark.parametrize("size", [BODY_LIMIT_BYTES + 1, BIG])
def test_body_over_the_limit_is_refused(edge: Edge, method: str, size: int) -> None:
    answer = send(edge, b"x" * size, method)

    assert (413, "body_too_large") == (answer.status_code, answer.json()["error"]["code"])
    assert {"limit_bytes": BODY_LIMIT_BYTES} == answer.json()["error"]["details"]


@pytest.mark.parametrize("size", [BODY_LIMIT_BYTES + 1, BIG])
def test_body_over_the_limit_without_a_length_is_refused(edge: Edge, size: int) -> None:
    def pieces() -> "list[bytes]":
        return [b"x" * 65536] * (size // 65536) + [b"x" * (size % 65536)]

    answer = httpx.post(f"{edge.address}/v1/size", content=iter(pieces()), timeout=30)

    assert (413, "body_too_large") == (answer.status_code, answer.json()["error"]["code"])


@pytest.mark.parametrize(
    ("path", "limit"),
    [
        ("models/u22a8.a/samples", SAMPLES_LIMIT_BYTES),
        ("models/u22a8.a/samples/synthesize", BODY_LIMIT_BYTES),
    ],
)
def test_only_where_samples_are_added_a_body_may_be_larger(edge: Edge, path: str, limit: int) -> None:
    taken, refused = (
        httpx.post(f"{edge.address}/v1/{path}", content=b"x" * size, timeout=30) for size in (limit, limit + 1)
    )

    assert 413 != taken.status_code
    assert (413, {"limit_bytes": limit}) == (refused.status_code, refused.json()["error"]["details"])


def test_chunks_within_the_limit_go_through(edge: Edge) -> None:
    [answer] = edge.ask(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunk(b"abc", b"de"))

    assert (200, '{"bytes":5}') == (answer.status, answer.body)


def test_length_over_the_limit_is_refused_before_a_byte_of_it(edge: Edge) -> None:
    [answer] = edge.ask(HEAD + b"Content-Length: 18446744073709551615\r\n\r\n")

    assert (413, "body_too_large") == answer.told


@pytest.mark.parametrize("extra", [b"", b"X-Refuse: 1\r\n"])
def test_connection_goes_on_after_a_body_that_was_refused(edge: Edge, extra: bytes) -> None:
    body = HEAD + extra + b"Content-Length: %d\r\n\r\n" % BIG + b"x" * BIG
    first, second = edge.ask(body + b"GET /v1/health HTTP/1.1\r\nHost: localhost\r\n\r\n", 2)

    assert 400 < first.status
    assert (200, '{"status":"ok"}') == (second.status, second.body)


def test_client_that_asks_first_is_told_to_go_on(edge: Edge) -> None:
    with edge.connect() as connection:
        connection.sendall(HEAD + b"Content-Length: 3\r\nExpect: 100-continue\r\n\r\n")
        assert b"HTTP/1.1 100 " == connection.recv(65536)[:13]
        connection.sendall(b"abc")
        [answer] = read_answers(connection)

    assert (200, '{"bytes":3}') == (answer.status, answer.body)


@pytest.mark.parametrize(
    ("extra", "expected"),
    [(b"", (413, "body_too_large")), (b"X-Refuse: 1\r\n", (401, "unauthorized"))],
)
def test_client_that_asks_first_is_spared_a_body_in_vain(edge: Edge, extra: bytes, expected: tuple[int, str]) -> None:
    [answer] = edge.ask(HEAD + extra + b"Content-Length: 99999\r\nExpect: 100-continue\r\n\r\n")

    assert expected == answer.told


def test_refusal_before_the_limit_comes_first(edge: Edge) -> None:
    answer = httpx.post(f"{edge.address}/v1/size", content=b"x" * BIG, headers={"X-Refuse": "1"}, timeout=30)

    assert (401, "unauthorized") == (answer.status_code, answer.json()["error"]["code"])
    assert "Bearer" == answer.headers["WWW-Authenticate"]


@pytest.mark.skipif(CURL is None, reason="needs the Debian package curl")
@pytest.mark.parametrize(
    "options", [[], ["-H", "Expect:"], ["-H", "Transfer-Encoding: chunked"], ["-H", "X-Refuse: 1"]]
)
def test_curl_gets_its_answer_for_ten_megabytes(edge: Edge, tmp_path: Path, options: list[str]) -> None:
    (tmp_path / "big").write_bytes(b"x" * BIG)
    command = [
        "curl",
        "-sS",
        "-o",
        "/dev/null",
        "-w",
        "%{http_code}",
        *options,
        "--data-binary",
        f"@{tmp_path / 'big'}",
    ]
    done = subprocess.run(
        [*command, f"{edge.address}/v1/size"], capture_output=True, text=True, timeout=60, check=False
    )

    expected = "401" if "X-Refuse: 1" in options else "413"
    assert (0, expected, "") == (done.returncode, done.stdout, done.stderr)


def test_slow_body_is_refused_in_time(edge: Edge) -> None:
    with edge.connect() as connection:
        connection.sendall(HEAD + b"Content-Length: 9\r\n\r\nabc")
        [answer] = read_answers(connection)

    assert (400, "invalid_json") == answer.told
    assert "whole within" in answer.error["message"]
    assert "close" == answer.headers["connection"]


def test_body_in_drops_does_not_win_time(edge: Edge) -> None:
    with edge.connect() as connection:
        connection.sendall(HEAD + b"Content-Length: 1000\r\n\r\n")

        assert is_closed_on(connection)


def test_body_with_two_lengths_is_refused_and_what_follows_is_no_request(edge: Edge) -> None:
    hidden = b"GET /v1/size HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with edge.connect() as connection:
        connection.sendall(HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk() + hidden)
        answers = read_answers(connection, 2)

    assert [400] == [answer.status for answer in answers]
    assert "not both" in answers[0].error["message"]
