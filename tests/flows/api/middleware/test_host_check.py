"""What is refused for the request's line or headers: hosts, paths, too many headers."""

import asyncio

import pytest
from fakes.edge import Edge
from starlette.types import Message, Receive, Scope, Send

from flows.api.errors import ApiError
from flows.api.middleware.host_check import HEAD_LIMIT_BYTES, MAX_HEADERS, HostCheck


def check_host(host: str, allowed: tuple[str, ...]) -> bool:
    """Whether a request with this host goes through."""
    return pass_hosts([host.encode()], allowed)


def pass_hosts(hosts: list[bytes], allowed: tuple[str, ...]) -> bool:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        pass

    async def receive() -> Message:
        raise AssertionError

    async def send(message: Message) -> None:
        raise AssertionError

    headers = [(b"host", host) for host in hosts]
    scope = {"type": "http", "path": "/", "raw_path": b"/", "query_string": b"", "headers": headers}
    try:
        asyncio.run(HostCheck(app, allowed)(scope, receive, send))
    except ApiError:
        return False
    return True


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LocalHost",
        "localhost:8000",
        "localhost:",
        "127.0.0.1:1",
        "[::1]",
        "[::1]:8000",
        "[0:0:0:0:0:0:0:1]:8",
    ],
)
def test_own_host_passes_with_any_port(host: str) -> None:
    assert check_host(host, ("127.0.0.1", "localhost", "[::1]"))


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example",
        "localhost.evil.example",
        "evil-localhost",
        "localhost@evil.example",
        "localhost:80@evil.example",
        "localhost:80:80",
        "localhost:x",
        "localhost, evil.example",
        "[::2]",
        "[::1",
        "[::1]x",
        "127.0.0.2",
        "xn--80ak6aa92e.com",
        "\xe9",
    ],
)
def test_foreign_host_is_refused(host: str) -> None:
    assert not check_host(host, ("127.0.0.1", "localhost", "[::1]"))


@pytest.mark.parametrize("allowed", ["fe80::1", "[fe80::1]", "[FE80:0::1]"])
def test_address_of_six_may_be_set_with_brackets_or_without(allowed: str) -> None:
    assert check_host("[fe80::1]:8000", (allowed,))


@pytest.mark.parametrize("hosts", [[], [b"localhost", b"localhost"], [b"localhost", b"evil.example"]])
def test_missing_or_doubled_host_is_refused(hosts: list[bytes]) -> None:
    assert not pass_hosts(hosts, ("localhost",))


def test_refused_host_is_told_which_variable_lets_it_in(edge: Edge) -> None:
    [answer] = edge.ask(b"GET /v1/health HTTP/1.1\r\nHost: evil.example\r\n\r\n")

    assert (400, "invalid_request") == answer.told
    assert "'evil.example'" in answer.error["message"]
    assert "EXEMPLARS_API_ALLOWED_HOSTS" in answer.error["message"]


@pytest.mark.parametrize("host", [b"", b"Host: a\r\nHost: localhost\r\n"])
@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_request_without_one_host_is_refused(edge: Edge, host: bytes, version: bytes) -> None:
    with edge.connect() as connection:
        connection.sendall(b"GET /v1/health HTTP/" + version + b"\r\n" + host + b"\r\n")

        assert b"HTTP/1.1 400 " == connection.recv(13)


@pytest.mark.parametrize(
    "path",
    [
        "/v1/models/a%2Fb/traits",
        "/v1/models/a%2fb/traits",
        "/v1%2fhealth",
        "/v1/models/x/traits%0a",
        "/v1/health%0A",
        "/v1/models/../health",
        "/v1/models/%2e%2e/health",
        "//v1/health",
        "/v1//health",
        "/v1/health;a=b",
        "/v1/health%00",
        "/V1/health",
        "*",
        "http://localhost/v1/health",
    ],
)
def test_path_that_is_not_one_of_ours_is_not_found(edge: Edge, path: str) -> None:
    [answer] = edge.ask(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())

    assert (404, "not_found") == answer.told


@pytest.mark.parametrize(
    "handle", ["..", "%2e%2e", "%00", "a%0ab", "%ff", "%zz", "%", "%c3%28", "%ed%a0%80", "%F4%8F%BF%BF"]
)
def test_odd_handle_reaches_the_route_as_text(edge: Edge, handle: str) -> None:
    [answer] = edge.ask(f"GET /v1/models/{handle}/traits HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())

    assert 200 == answer.status


def test_encoded_slash_in_the_query_is_no_path(edge: Edge) -> None:
    [answer] = edge.ask(b"GET /v1/health?a=%2f HTTP/1.1\r\nHost: localhost\r\n\r\n")

    assert 200 == answer.status


@pytest.mark.parametrize(("count", "expected"), [(MAX_HEADERS - 1, 200), (MAX_HEADERS, 400)])
def test_number_of_headers_has_a_limit(edge: Edge, count: int, expected: int) -> None:
    [answer] = edge.ask(b"GET /v1/health HTTP/1.1\r\nHost: localhost\r\n" + b"a: b\r\n" * count + b"\r\n")

    assert expected == answer.status


@pytest.mark.parametrize(("missing", "expected"), [(100, 200), (0, 400)])
def test_size_of_a_whole_head_has_a_limit(edge: Edge, missing: int, expected: int) -> None:
    path, query, name = b"/v1/health", b"a=1", b"x"
    value = b"v" * (HEAD_LIMIT_BYTES + 1 - missing - len(path + query + b"hostlocalhost" + name))
    [answer] = edge.ask(b"GET %s?%s HTTP/1.1\r\nHost: localhost\r\n%s: %s\r\n\r\n" % (path, query, name, value))

    assert expected == answer.status
