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
    ("host", "allowed", "passes"),
    [
        *((host, OURS, True) for host in ("localhost", "LocalHost", "localhost:8000", "localhost:", "127.0.0.1:1")),
        *((host, OURS, True) for host in ("[::1]", "[::1]:8000", "[0:0:0:0:0:0:0:1]:8")),
        *(("[fe80::1]:8000", (allowed,), True) for allowed in ("fe80::1", "[fe80::1]", "[FE80:0::1]")),
        *((host, OURS, False) for host in ("", "evil.example", "localhost.evil.example", "evil-localhost")),
        *((host, OURS, False) for host in ("localhost@evil.example", "localhost:80:80", "localhost:x", "\xe9")),
        *((host, OURS, False) for host in ("[::2]", "[::1", "[::1]x", "127.0.0.2", "localhost, evil.example")),
    ],
)
def test_host_passes_with_any_port_where_it_is_allowed(host: str, allowed: tuple[str, ...], passes: bool) -> None:
    reached = []

    async def app(*_: object) -> None:
        reached.append(True)

    sent = drive(Envelope(HostCheck(app, allowed)), headers=[(b"host", host.encode("latin-1"))])

    assert passes == bool(reached) == (not sent)


@pytest.mark.parametrize("hosts", [[], [b"localhost", b"localhost"], [b"localhost", b"evil.example"]])
def test_missing_or_doubled_host_is_refused(hosts: list[bytes]) -> None:
    assert (400, "invalid_request") == ask(headers=[(b"host", host) for host in hosts])


def test_refused_host_is_told_which_variable_lets_it_in() -> None:
    sent = drive(make_app(), {"type": "http.request"}, target="/v1/health", headers=[(b"host", b"evil.example")])

    assert "'evil.example'" in sent[1]["body"].decode()
    assert "EXEMPLARS_API_ALLOWED_HOSTS" in sent[1]["body"].decode()


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/v1/models/a%2Fb/traits", 404),
        ("/v1%2fhealth", 404),
        ("/v1/models/x/traits%0a", 404),
        ("/v1/health%0A", 404),
        ("/v1//health", 404),
        ("/v1/health%00", 404),
        ("/v1/health?a=%2f", 200),
        *((f"/v1/models/{handle}/traits", 200) for handle in ("%2e%2e", "%00", "a%0ab", "%ff", "%zz", "%ed%a0%80")),
    ],
)
def test_path_is_found_as_it_was_sent(target: str, status: int) -> None:
    assert (status, "not_found" if status == 404 else "") == ask(target)


@pytest.mark.parametrize(("count", "expected"), [(MAX_HEADERS - 1, 200), (MAX_HEADERS, 400)])
def test_number_of_headers_has_a_limit(count: int, expected: int) -> None:
    assert expected == ask(headers=[HOST, *[(b"a", b"b")] * count])[0]


@pytest.mark.parametrize(("over", "expected"), [(0, 200), (1, 400)])
def test_size_of_a_whole_head_has_a_limit(over: int, expected: int) -> None:
    value = b"v" * (HEAD_LIMIT_BYTES + over - len("/v1/health" + "a=1" + "hostlocalhost" + "x"))

    assert expected == ask("/v1/health?a=1", [HOST, (b"x", value)])[0]
