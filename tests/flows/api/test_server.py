"""The server process, asked over connections of its own and stopped with real signals."""

import signal
import socket
from contextlib import closing

import pytest
from fakes.edge import serve_edge

from engine.errors import AddressError
from flows.api.server import open_listener, write_address


@pytest.mark.slow
def test_server_answers_what_it_refuses_too_and_stops_when_what_is_in_flight_is_done() -> None:
    with serve_edge() as edge:
        with closing(edge.connect()) as connection:
            connection.request("POST", "/body", b"x" * 10 * 1024 * 1024)
            refused = connection.getresponse()
            refused.read()
            connection.request("POST", "/body?key=hunter2", b"{}", {"Content-Type": "application/json"})
            after = connection.getresponse()
            told = after.read()
        with pytest.raises(AddressError, match="another program listens there") as taken:
            open_listener("127.0.0.1", edge.port)
        with closing(edge.connect()) as connection, closing(edge.connect()) as idle:
            connection.request("GET", "/slow?seconds=0.5")
            assert "asked" == edge.read_line()
            code, logged = edge.stop()
            done = connection.getresponse().read()
            assert b"" == idle.sock.recv(1)
        with pytest.raises(ConnectionRefusedError):
            edge.connect()

    # So both were answered on one connection.
    assert (413, None) == (refused.status, refused.getheader("Connection"))
    assert (200, b"{}", None) == (after.status, told, after.getheader("Server"))
    assert (b'{"status":"done"}', 0) == (done, code)
    assert "INFO POST /body 200 " in logged
    assert "hunter2" not in logged
    assert "Traceback" not in logged
    assert f"cannot listen on http://127.0.0.1:{edge.port}: " in str(taken.value)
    assert "EXEMPLARS_API_PORT" in str(taken.value)
    assert 3 == taken.value.exit_code


@pytest.mark.slow
def test_stop_has_an_end_whatever_goes_on_and_says_so() -> None:
    with serve_edge() as edge, closing(edge.connect()) as connection, closing(edge.connect()) as stuck:
        for each, path in ((connection, "slow"), (stuck, "stuck")):
            each.request("GET", f"/{path}?seconds=600")
            assert "asked" == edge.read_line()
        code, logged = edge.stop(signal.SIGINT)
        answer = connection.getresponse()
        told = answer.read()

    assert (503, True) == (answer.status, b'"internal_error"' in told)
    assert (0, False) == (code, "Traceback" in logged)


def test_small_answers_leave_at_once() -> None:
    with open_listener("localhost", 0) as listener:
        assert 0 != listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
def test_address_that_cannot_be_ours_is_named_with_what_chooses_another(host: str) -> None:
    with pytest.raises(AddressError, match=rf"cannot listen on http://{host}:4200: .+\. .* with PORT$"):
        open_listener(host, 4200, "PORT")


@pytest.mark.parametrize(("host", "shown"), [("127.0.0.1", "127.0.0.1"), ("::1", "[::1]"), ("[::1]", "[::1]")])
def test_address_can_be_opened_in_a_browser(host: str, shown: str) -> None:
    assert f"http://{shown}:80" == write_address(host, 80)
