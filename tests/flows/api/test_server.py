"""The server process, asked over raw sockets and stopped with real signals."""

import signal
import socket

import pytest
from fakes.edge import read_answers, serve_edge

from engine.errors import AddressError
from flows.api.server import open_listener, write_address

HEAD = b" HTTP/1.1\r\nHost: localhost\r\n"
HEALTH = b"GET /v1/health?key=hunter2" + HEAD + b"\r\n"
BIG = 10 * 1024 * 1024


@pytest.mark.slow
def test_server_answers_what_it_refuses_too_and_stops_when_what_is_in_flight_is_done() -> None:
    with serve_edge() as edge:
        with edge.connect() as connection:
            body = b"POST /v1/body" + HEAD + b"Content-Length: %d\r\n\r\n" % BIG + b"x" * BIG
            connection.sendall(body + HEALTH)
            refused, after = read_answers(connection, 2)
        with edge.connect() as dripping:
            dripping.sendall(b"POST /v1/body" + HEAD + b"Content-Length: 9\r\n\r\nabc")
            [late] = read_answers(dripping)
        with pytest.raises(AddressError, match="another program listens there") as taken:
            open_listener("127.0.0.1", edge.port)
        with edge.connect() as connection, edge.connect() as idle:
            connection.sendall(b"GET /v1/slow?seconds=0.5" + HEAD + b"\r\n")
            edge.wait_until_asked()
            code, logged = edge.stop()
            [done] = read_answers(connection)
            assert b"" == idle.recv(1)
        with pytest.raises(ConnectionRefusedError):
            edge.connect()

    assert (413, 200, '{"status":"ok"}') == (refused.status, after.status, after.body)
    assert (True, False) == ("date" in after.headers, "server" in after.headers)
    assert (400, "close") == (late.status, late.headers["connection"])
    assert (200, '{"status":"done"}', 0) == (done.status, done.body, code)
    assert "INFO GET /v1/health 200 " in logged
    assert "hunter2" not in logged
    assert "Traceback" not in logged
    assert f"cannot listen on {edge.address}: " in str(taken.value)
    assert "EXEMPLARS_API_PORT" in str(taken.value)
    assert 3 == taken.value.exit_code


@pytest.mark.slow
def test_stop_has_an_end_whatever_goes_on_and_says_so() -> None:
    with serve_edge() as edge, edge.connect() as connection, edge.connect() as stuck:
        for each, path in ((connection, b"slow"), (stuck, b"stuck")):
            each.sendall(b"GET /v1/" + path + b"?seconds=600" + HEAD + b"\r\n")
            edge.wait_until_asked()
        code, logged = edge.stop(signal.SIGINT)
        [answer] = read_answers(connection)

    assert (503, True) == (answer.status, '"internal_error"' in answer.body)
    assert (0, False) == (code, "Traceback" in logged)


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
def test_address_of_another_machine_is_refused(host: str) -> None:
    with pytest.raises(AddressError, match=f"cannot listen on http://{host}:0: "):
        open_listener(host, 0)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_free_port_is_found_and_small_answers_leave_at_once(host: str) -> None:
    with open_listener(host, 0) as listener:
        assert 0 < listener.getsockname()[1]
        assert 0 != listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", "http://127.0.0.1:80"), ("::1", "http://[::1]:80"), ("[::1]", "http://[::1]:80")],
)
def test_address_can_be_opened_in_a_browser(host: str, expected: str) -> None:
    assert expected == write_address(host, 80)
