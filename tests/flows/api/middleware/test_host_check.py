"""What is refused for the request's line or headers: hosts, paths, too many headers."""

import pytest
from fakes.edge import HOST, drive, read_told
from fakes.surface import ADDRESS, Surface, read_refusal
from starlette.types import Receive, Scope, Send

from flows.api.errors import ApiError
from flows.api.middleware.envelope import Envelope
from flows.api.middleware.host_check import HEAD_LIMIT_BYTES, MAX_HEADERS, HostCheck

OURS = ("127.0.0.1", "localhost", "[::1]")
REACHED = 418, "internal_error"


async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
    """An application that is known by its answer."""
    raise ApiError(418, "internal_error", "A teapot.")


@pytest.mark.parametrize(
    ("hosts", "allowed", "passes"),
    [
        *(((host,), OURS, True) for host in ("LocalHost", "localhost:8000", "localhost:", "[0:0:0:0:0:0:0:1]:8")),
        *((("[fe80::1]:8000",), (allowed,), True) for allowed in ("fe80::1", "[FE80:0::1]")),
        *(((host,), OURS, False) for host in ("", "localhost.evil.com", "evil-localhost", "localhost@evil.com")),
        *(((host,), OURS, False) for host in ("localhost:80:80", "localhost:x", "\xe9", "[::2]", "[::1", "[::1]x")),
        *((hosts, OURS, False) for hosts in ((), ("localhost", "localhost"), ("localhost", "evil.example"))),
    ],
)
def test_host_passes_with_any_port_where_it_is_allowed(
    hosts: tuple[str, ...], allowed: tuple[str, ...], passes: bool
) -> None:
    headers = [(b"host", host.encode("latin-1")) for host in hosts]
    sent = drive(Envelope(HostCheck(refuse, allowed)), headers=headers)

    assert (REACHED if passes else (400, "invalid_request")) == read_told(sent)
    # The refusal tells which variable lets it in.
    assert passes or b"EXEMPLARS_API_ALLOWED_HOSTS" in sent[1]["body"]


@pytest.mark.parametrize(
    ("target", "status", "code"),
    [
        *((f"/v1/models/{encoded}", 404, "not_found") for encoded in ("a%2Fb/traits", "x/traits%0a")),
        *((path, 404, "not_found") for path in ("/v1%2fhealth", "/v1//health", "/v1/health%00", "/v1/health%0a")),
        *((f"/v1/models/{handle}/traits", 422, "invalid_handle") for handle in ("%2e%2e", "a%0ab", "%ff")),
        ("/v1/models?limit=%2f", 422, "invalid_request"),
    ],
)
def test_path_is_found_as_it_was_sent(surface: Surface, target: str, status: int, code: str) -> None:
    assert (status, code) == read_refusal(surface.author.get(ADDRESS + target))


@pytest.mark.parametrize("over", [0, 1])
def test_number_of_headers_and_size_of_a_whole_head_have_a_limit(over: int) -> None:
    size = HEAD_LIMIT_BYTES + over - len("/v1/health" + "a=1" + "hostlocalhost" + "x")
    many = [HOST, *[(b"a", b"b")] * (MAX_HEADERS - 1 + over)]
    for target, headers in (("/v1/health", many), ("/v1/health?a=1", [HOST, (b"x", b"v" * size)])):
        sent = drive(Envelope(HostCheck(refuse, OURS)), target=target, headers=headers)
        assert ((400, "invalid_request") if over else REACHED) == read_told(sent)
