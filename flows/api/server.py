"""Run the HTTP API's server: uvicorn on one address, until a signal stops it."""

import errno
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable

import uvicorn
from starlette.types import ASGIApp

from engine.errors import AddressError
from engine.settings import LogFormat
from flows.observability.json_logs import choose_formatter

STOP_SECONDS = 5
# Longer than clients keep an idle connection (httpx: 5 s), so that they never send on a connection just closed.
KEEP_ALIVE_SECONDS = 10
# Maximum number of simultaneous connections and requests; above it uvicorn itself answers 503.
LIMIT_CONCURRENCY = 512
HEAD_LIMIT_BYTES = 16 * 1024

CHOSEN_BY = "EXEMPLARS_API_PORT (0 takes a free port) and EXEMPLARS_API_HOST"

_LOGGERS = {"flows.api": logging.INFO, "uvicorn.error": logging.WARNING}


def serve(
    app: ASGIApp,
    host: str,
    port: int,
    announce: Callable[[str], None],
    stop_seconds: int = STOP_SECONDS,
    log_format: LogFormat = "text",
    chosen_by: str = CHOSEN_BY,
) -> None:
    """Serve until SIGTERM or SIGINT, and then give requests in flight ``stop_seconds`` to finish.

    It must run in the main thread, for the signals, as the last step of the process: the process ends with exit code
    0 one second after ``stop_seconds`` at the latest, even if other work is not finished.

    Args:
        port: 0 takes a free one.
        announce: called with the address when the server accepts requests.
        chosen_by: the setting that chooses another address, for the error message.

    Raises:
        AddressError: the address is in use, not of this machine, or malformed.
        SystemExit: a signal stopped the server; the code is 0.
    """
    log_to_stderr(log_format)
    listener = open_listener(host, port, chosen_by)
    address = write_address(host, listener.getsockname()[1])
    config = uvicorn.Config(
        app,
        # h11 is strict, and pure Python.
        http="h11",
        ws="none",
        loop="asyncio",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=LIMIT_CONCURRENCY,
        h11_max_incomplete_event_size=HEAD_LIMIT_BYTES,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=stop_seconds,
    )
    # After its stop uvicorn raises the signal again: a requested stop is no failure.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit(0))
    # From here on a connection is accepted and waits for its answer.
    announce(address)
    with listener:
        _Server(config).run(sockets=[listener])


def open_listener(host: str, port: int, chosen_by: str = CHOSEN_BY) -> socket.socket:
    """Open the listening socket.

    Raises:
        AddressError: the address cannot be used; the message has the reason, and the setting that chooses another.
    """
    bare = host.strip("[]")
    try:
        family = socket.getaddrinfo(bare, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server((bare, port), family=family, backlog=2048)
    except OSError as error:
        raise describe_refusal(error, host, port, chosen_by) from error
    # asyncio sets this only on sockets that it opens itself; without it every request took 44 ms instead of 1 ms.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def describe_refusal(error: OSError, host: str, port: int, chosen_by: str) -> AddressError:
    """Return the error for an address that the system refuses; ``chosen_by`` names the setting of the address."""
    reason = "another program listens there" if error.errno == errno.EADDRINUSE else str(error.strerror).lower()
    return AddressError(
        f"cannot listen on {write_address(host, port)}: {reason}. Stop what listens there, or choose another "
        f"address with {chosen_by}"
    )


def write_address(host: str, port: int) -> str:
    """Return the URL of an address, such as ``http://127.0.0.1:8000``; an IPv6 host gets brackets."""
    bare = host.strip("[]")
    return f"http://[{bare}]:{port}" if ":" in bare else f"http://{bare}:{port}"


def log_to_stderr(log_format: LogFormat = "text") -> None:
    """Write the API's log lines and uvicorn's warnings to stderr, independently of other logging in the process."""
    handler = logging.StreamHandler()
    handler.setFormatter(choose_formatter(log_format))
    for name, level in _LOGGERS.items():
        logger = logging.getLogger(name)
        logger.addHandler(handler)
        logger.setLevel(level)
        logger.propagate = False


class _Server(uvicorn.Server):
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # A route that runs in a thread cannot be cancelled, and Python would wait for it forever.
        last_resort = threading.Timer((self.config.timeout_graceful_shutdown or 0) + 1, os._exit, [0])
        last_resort.daemon = True
        last_resort.start()
        await super().shutdown(sockets)
