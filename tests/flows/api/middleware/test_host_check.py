"""What is refused for the request's line or headers: hosts, paths, too many headers."""

from collections.abc import Sequence

import pytest
from fakes.edge import HOST, drive, make_app, read_told

from flows.api.middleware.envelope import Envelope
from flows.api.middleware.host_check import HEAD_LIMIT_BYTES, MAX_HEADERS, HostCheck

OURS = ("127.0.0.1", "localhost", "[::1]")


def ask(target: str = "/v1/health", headers: Sequence[tuple[bytes, bytes]] = (HOST,)) -> tuple[int, str]:
    """The status for a GET, and the code where it is refused."""
    sent = drive(make_app(), {"type": "http.request"}, method="GET", target=target, headers=headers)
    return read_told(sent) if sent[0]["status"] >= 400 else (sent[0]["status"], "")


@pytest.mark.parametrize(
    ("hosts", "allowed", "passes"),
    [
        *(((host,), OURS, True) for host in ("LocalHost", "localhost:8000", "localhost:", "[0:0:0:0:0:0:0:1]:8")),
        *((("[fe80::1]:8000",), (allowed,), True) for allowed in ("fe80::1", "[FE80:0::1]")),
        *(
            ((host,), OURS, False)
            for host in ("", "localhost.evil.example", "evil-localhost", "localhost@evil.example")
        ),
        *(((host,), OURS, False) for host in ("localhost:80:80", "localhost:x", "\xe9", "[::2]", "[::1", "[::1]x")),
        *((hosts, OURS, False) for hosts in ((), ("localhost", "localhost"), ("localhost", "evil.example"))),
    ],
)
def test_host_passes_with_any_port_where_it_is_allowed(
    hosts: tuple[str, ...], allowed: tuple[str, ...], passes: bool
) -> None:
    reached = []

    async def app(*_: object) -> None:
        reached.append(True)

    sent = drive(Envelope(HostCheck(app, allowed)), headers=[(b"host", host.encode("latin-1")) for host in hosts])

    assert passes == bool(reached) == (not sent)
    # The refusal tells which variable lets it in.
    assert passes or (400, "invalid_request") == read_told(sent)
    assert passes or b"EXEMPLARS_API_ALLOWED_HOSTS" in sent[1]["body"]


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/v1/models/a%2Fb/traits", 404),
        ("/v1%2fhealth", 404),
        ("/v1/models/x/traits%0a", 404),
        ("/v1//health", 404),
        ("/v1/health%00", 404),
        ("/v1/health?a=%2f", 200),
        *((f"/v1/models/{handle}/traits", 200) for handle in ("%2e%2e", "a%0ab", "%ff")),
    ],
)
def test_path_is_found_as_it_was_sent(target: str, status: int) -> None:
    assert (status, "not_found" if status == 404 else "") == ask(target)


@pytest.mark.parametrize(("over", "expected"), [(0, 200), (1, 400)])
def test_number_of_headers_and_size_of_a_whole_head_have_a_limit(over: int, expected: int) -> None:
    value = b"v" * (HEAD_LIMIT_BYTES + over - len("/v1/health" + "a=1" + "hostlocalhost" + "x"))

    assert expected == ask(headers=[HOST, *[(b"a", b"b")] * (MAX_HEADERS - 1 + over)])[0]
    assert expected == ask("/v1/health?a=1", [HOST, (b"x", value)])[0]
