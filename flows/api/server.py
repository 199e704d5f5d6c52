"""Runs the HTTP door's server: uvicorn on one address, until it is stopped by a signal."""

import errno
import logging
import os
import resource
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import uvicorn
from starlette.types import ASGIApp

from engine.errors import AddressError
from engine.settings import LogFormat
from flows.api.protocol import HEAD_LIMIT_BYTES, HEAD_SECONDS, DoorProtocol
from flows.observability.json_logs import choose_formatter

STOP_SECONDS = 5
# The most connections and requests at once; above it uvicorn itself answers 503.
LIMIT_CONCURRENCY = 512
FILES = 8192

_LOGGERS = {"flows.api": logging.INFO, "uvicorn.error": logging.WARNING}


def serve(
    app: ASGIApp,
    host: str,
    port: int,
    announce: Callable[[str], None],
    head_seconds: float = HEAD_SECONDS,
    stop_seconds: int = STOP_SECONDS,
    log_format: LogFormat = "text",
) -> None:
    """Serves until SIGTERM or SIGINT, and then gives requests in flight ``stop_seconds`` to finish.

    Must run in the main thread, for the signals, and be the last thing that the process does: one second after
    ``stop_seconds`` the process exits with code 0, whatever else it is doing.

    Args:
        port: 0 takes a free one.
        announce: called with the address once requests are answered.
        head_seconds: a connection that sends no complete request head within this time is closed.

    Raises:
        AddressError: the address is in use, not of this machine, or malformed.
    """
    raise_file_limit()
    listener = open_listener(host, port)
    address = write_address(host, listener.getsockname()[1])
    config = uvicorn.Config(
        app,
        http=partial(DoorProtocol, head_seconds=head_seconds),  # type: ignore[arg-type]
        ws="none",
        loop="asyncio",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=LIMIT_CONCURRENCY,
        h11_max_incomplete_event_size=HEAD_LIMIT_BYTES,
        # Longer than clients keep an idle connection (httpx: 5 s), lest they send on one that we have just closed.
        timeout_keep_alive=int(HEAD_SECONDS),
        timeout_graceful_shutdown=stop_seconds,
    )
    with log_to_stderr(log_format), listener:
        _DoorServer(config, lambda: announce(address)).run(sockets=[listener])


def open_listener(host: str, port: int) -> socket.socket:
    """Opens the listening socket.

    Raises:
        AddressError: the address cannot be used; the message says why, and which settings choose another.
    """
    bare = host.strip("[]")
    try:
        family = socket.getaddrinfo(bare, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server((bare, port), family=family, backlog=2048)
    except OSError as error:
        raise describe_refusal(error, host, port, "EXEMPLARS_API_PORT") from error
    # asyncio sets this only on sockets that it makes itself; without it every request took 44 ms instead of 1 ms.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def describe_refusal(error: OSError, host: str, port: int, variable: str) -> AddressError:
    """The error for an address that the system refuses; ``variable`` names the setting of its port."""
    reason = "another program listens there" if error.errno == errno.EADDRINUSE else str(error.strerror).lower()
    return AddressError(
        f"cannot listen on {write_address(host, port)}: {reason}. Stop what listens there, or choose another "
        f"address with {variable} (0 takes a free port) and EXEMPLARS_API_HOST"
    )


def raise_file_limit() -> None:
    """Raises the process's limit of open files: each connection needs one, and so does each set that is read."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(hard, FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def write_address(host: str, port: int) -> str:
    """The URL of an address, such as ``http://127.0.0.1:8000``; an IPv6 host gets brackets."""
    bare = host.strip("[]")
    return f"http://[{bare}]:{port}" if ":" in bare else f"http://{bare}:{port}"


@contextmanager
def log_to_stderr(log_format: LogFormat = "text") -> Iterator[None]:
    """Writes the API's log lines and uvicorn's warnings to stderr, independently of other logging in the process."""
    handler = logging.StreamHandler()
    handler.setFormatter(choose_formatter(log_format))
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(_LOGGERS[logger.name])
        logger.propagate = False
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
            logger.propagate = True


class _DoorServer(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, announce: Callable[[], None]) -> None:
        super().__init__(config)
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._announce()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # A route that runs in a thread cannot be cancelled, and Python would wait for it for ever.
        last_resort = threading.Timer((self.config.timeout_graceful_shutdown or 0) + 1, os._exit, [0])
        last_resort.daemon = True
        last_resort.start()
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Like uvicorn's method, but without raising the signal again at the end: a requested stop exits with 0."""
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
