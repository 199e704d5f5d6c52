"""The server process, asked over raw sockets and stopped with real signals."""

import signal
import socket
import time

import pytest
from fakes.edge import STOP_SECONDS, Edge, read_answers, serve_edge, wait_until_asked

from engine.errors import AddressError
from flows.api.server import open_listener, write_address

pytestmark = pytest.mark.slow

HEALTH = b"GET /v1/health HTTP/1.1\r\nHost: localhost\r\n\r\n"
OK = (200, '{"status":"ok"}')


def test_answer_tells_the_date_and_not_the_software(edge: Edge) -> None:
    [answer] = edge.ask(HEALTH)

    assert "date" in answer.headers
    assert "server" not in answer.headers


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stop_finishes_the_answer_in_flight(number: signal.Signals) -> None:
    with serve_edge() as edge, edge.connect() as connection, edge.connect() as idle:
        connection.sendall(HEALTH.replace(b"health", b"slow?seconds=1"))
        wait_until_asked(edge)
        code, logged = edge.stop(number)
        [answer] = read_answers(connection)

        assert b"" == idle.recv(1)
    assert (200, '{"status":"done"}') == (answer.status, answer.body)
    assert (0, False) == (code, "Traceback" in logged)


def test_stop_has_an_end_and_says_so() -> None:
    with serve_edge() as edge, edge.connect() as connection:
        connection.sendall(HEALTH.replace(b"health", b"slow?seconds=60"))
        wait_until_asked(edge)
        code, logged = edge.stop()
        [answer] = read_answers(connection)

    assert (503, "internal_error") == answer.told
    assert (0, False) == (code, "Traceback" in logged)


def test_stop_does_not_wait_for_a_thread() -> None:
    with serve_edge() as edge, edge.connect() as connection:
        connection.sendall(HEALTH.replace(b"health", b"stuck?seconds=60"))
        wait_until_asked(edge)
        begun = time.monotonic()
        code, _ = edge.stop()

    assert 0 == code
    assert time.monotonic() < begun + STOP_SECONDS + 10


def test_stopped_server_answers_no_more() -> None:
    with serve_edge() as edge:
        assert 0 == edge.stop()[0]
        with pytest.raises(ConnectionRefusedError):
            edge.connect()


def test_log_has_one_line_for_a_request_and_no_query() -> None:
    with serve_edge() as edge:
        edge.ask(HEALTH.replace(b"health", b"health?key=hunter2"))
        _, logged = edge.stop()
    [line] = logged.splitlines()

    assert "INFO GET /v1/health 200 " in line


def test_taken_port_is_named_with_its_remedy(edge: Edge) -> None:
    with pytest.raises(AddressError, match="another program listens there") as caught:
        open_listener("127.0.0.1", edge.port)

    assert f"cannot listen on {edge.address}: " in str(caught.value)
    assert "EXEMPLARS_API_PORT" in str(caught.value)
    assert 3 == caught.value.exit_code


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
def test_address_of_another_machine_is_refused(host: str) -> None:
    with pytest.raises(AddressError, match=f"cannot listen on http://{host}:0: "):
        open_listener(host, 0)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0"])
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
