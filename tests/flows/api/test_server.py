"""The server process, asked over raw sockets and stopped with real signals."""

import signal
import socket
import time

import httpx
import pytest
from fakes.edge import STOP_SECONDS, Edge, read_answers, serve_edge, wait_until_asked

from engine.errors import AddressError
from flows.api.middleware.host_check import HEAD_LIMIT_BYTES
from flows.api.server import open_listener, write_address

pytestmark = pytest.mark.slow

HEALTH = b"GET /v1/health HTTP/1.1\r\nHost: localhost\r\n\r\n"
OK = (200, '{"status":"ok"}')


def wait_for_end(connection: socket.socket) -> bytes:
    """What comes until the server closes, which it does in time or the socket's own timeout ends the test."""
    received = b""
    while piece := connection.recv(65536):
        received += piece
    return received


def test_answer_tells_the_date_and_not_the_software(edge: Edge) -> None:
    [answer] = edge.ask(HEALTH)

    assert "date" in answer.headers
    assert "server" not in answer.headers


def test_requests_in_one_go_are_answered_in_order(edge: Edge) -> None:
    answers = edge.ask(HEALTH + HEALTH.replace(b"health", b"nothing") + HEALTH, 3)

    assert [200, 404, 200] == [answer.status for answer in answers]


def test_head_in_pieces_is_read(edge: Edge) -> None:
    with edge.connect() as connection:
        for index in range(len(HEALTH)):
            connection.sendall(HEALTH[index : index + 1])
        [answer] = read_answers(connection)

    assert OK == (answer.status, answer.body)


@pytest.mark.parametrize(
    "sent", [b"", HEALTH[:20], b"POST /v1/size HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nabc"]
)
def test_half_closed_client_without_a_whole_request_is_let_go(edge: Edge, sent: bytes) -> None:
    with edge.connect() as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)

        assert b"" == wait_for_end(connection)


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"\x00" * 100 + b"\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"GET /v1/health\r\n\r\n",
        b"GET /v1/h\xc3\xa9alth HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /v1/health HTTP/1.1\r\nHost: localhost\r\nbad name: x\r\n\r\n",
        b"GET /v1/health HTTP/1.1\r\nHost: localhost\r\na: b\r\n folded\x00\r\n\r\n",
    ],
)
def test_what_is_no_http_is_refused_by_uvicorn_and_the_connection_closed(edge: Edge, sent: bytes) -> None:
    with edge.connect() as connection:
        connection.sendall(sent)
        said = wait_for_end(connection)

    assert b"HTTP/1.1 400 " == said[:13]
    assert b"Invalid HTTP request received." in said


def test_garbage_after_a_request_does_not_spoil_its_answer(edge: Edge) -> None:
    with edge.connect() as connection:
        connection.sendall(HEALTH + b"\x00\x01garbage\r\n\r\n")
        said = wait_for_end(connection)

    assert b"HTTP/1.1 200 " == said[:13]
    assert b'{"status":"ok"}HTTP/1.1 400 ' in said


@pytest.mark.parametrize(
    "line", [b"GET /%s HTTP/1.1\r\nHost: localhost\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nx: %s\r\n\r\n"]
)
@pytest.mark.parametrize("end", [-1, None])
def test_head_over_the_limit_is_refused_whole_or_not(edge: Edge, line: bytes, end: int | None) -> None:
    with edge.connect() as connection:
        connection.sendall((line % (b"a" * HEAD_LIMIT_BYTES))[:end])

        assert b"HTTP/1.1 400 " == connection.recv(13)


def test_request_for_a_websocket_is_answered_like_any_other(edge: Edge) -> None:
    upgrade = b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    [answer] = edge.ask(HEALTH.removesuffix(b"\r\n") + upgrade)

    assert OK == (answer.status, answer.body)


def test_slow_clients_do_not_keep_others_waiting(edge: Edge) -> None:
    slow = [edge.connect() for _ in range(100)]
    for connection in slow:
        connection.sendall(b"GET /")
    [answer] = edge.ask(HEALTH)
    for connection in slow:
        connection.close()

    assert OK == (answer.status, answer.body)


def test_answer_that_breaks_off_is_seen_as_broken(edge: Edge) -> None:
    with pytest.raises(httpx.RemoteProtocolError, match="incomplete chunked read"):
        httpx.get(f"{edge.address}/v1/half")


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
