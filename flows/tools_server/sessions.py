"""Run the MCP server, for one client by standard input and output or for many over HTTP, and identify the client."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from typing import Any

from fastmcp.server.auth import AccessToken, TokenVerifier
from fastmcp.server.dependencies import get_access_token
from fastmcp.server.mixins import transport
from mcp.server.stdio import stdio_server
from mcp.shared.message import SessionMessage
from mcp_types import INVALID_REQUEST, PARSE_ERROR, ErrorData, JSONRPCError
from prefect.settings import PREFECT_API_URL, temporary_settings
from pydantic import ValidationError

from engine.errors import InputError, RunInterruptedError
from engine.settings import Settings
from flows.api.keys import DUMMY_SHA256, Key, KeyRing, locate_keys, read_keys
from flows.api.orchestrator import DEFAULT_PREFECT
from flows.api.server import log_to_stderr, serve
from flows.observability.logs import set_up_logs
from flows.tools_server.own_tools import MachineUser
from flows.tools_server.server import Identity, make_server

PATH = "/mcp"
ISSUE = "'python -m flows.api keys issue --help'"


def serve_stdio(settings: Settings) -> None:
    """Serve one client until it closes standard input, or a signal ends the process.

    Only the protocol is written to standard output. The call has to be the last step of the process.
    """
    identity = identify(settings)
    log_to_stderr(settings.log_format)
    # No signal wakes the thread that waits for the client's next line, and nothing has to be cleaned up.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: os._exit(RunInterruptedError.exit_code))
    try:
        setattr(transport, "stdio_server", _serve_lines)  # noqa: B010 (not exported, says mypy)
        with _prefect_and_logs(settings):
            asyncio.run(make_server(settings, identity).run_stdio_async(show_banner=False))
    except* BrokenPipeError:
        # The client has disconnected. A normal exit would try to write the remaining output, and print an error.
        os._exit(0)


def serve_http(settings: Settings, port: int) -> None:
    """Serve any number of clients at ``/mcp`` of a port of this machine until a signal ends the process.

    Each request needs a key of the HTTP API, and is independent: there are no sessions that another key could enter.

    Args:
        port: 0 takes a free one.

    Raises:
        InputError, StoreError: the file of keys cannot be used.
        AddressError: the port is taken.
        SystemExit: a signal stopped the server; the code is 0.
    """
    path = locate_keys(settings)
    if not read_keys(path):
        print(f"No key is in {path} yet, and each request needs one: {ISSUE} says how to issue it", file=sys.stderr)
    ring = KeyRing(path)
    rights = "has the rights of the key that its requests bring"
    identity = Identity(ring.find, lambda: getattr(get_access_token(), "token", ""), rights)
    server = make_server(settings, identity, _Keys(ring.find))
    with _prefect_and_logs(settings):
        serve(
            server.http_app(PATH, json_response=True, stateless_http=True, host_origin_protection=True),
            "127.0.0.1",
            port,
            lambda address: print(f"The tools are at {address}{PATH}", flush=True),
            log_format=settings.log_format,
            chosen_by="--port (0 takes a free one)",
        )


def identify(settings: Settings) -> Identity:
    """Return the identity of a session by standard input and output.

    Raises:
        InputError: ``EXEMPLARS_MCP_KEY`` is not a key of the HTTP API.
        StoreError: the file of keys cannot be used.
    """
    if settings.mcp_key is None:
        user = MachineUser("0" * 12, "authoring", (), datetime.now(UTC), DUMMY_SHA256)
        # Nobody else can call the application, which is in this process.
        return Identity(lambda _: user, lambda: "this machine's user", "reads and changes every namespace")
    path, secret = locate_keys(settings), settings.mcp_key.get_secret_value()
    # The ring would only log why it cannot read the file; this call raises the error.
    read_keys(path)
    ring = KeyRing(path)
    if (key := ring.find(secret)) is None:
        raise InputError(
            f"EXEMPLARS_MCP_KEY is none of the keys in {path}: it was revoked, or issued elsewhere. {ISSUE} says how "
            "to issue one; unset, the session is this machine's own user"
        )
    return Identity(ring.find, lambda: secret, key.rights)


@asynccontextmanager
async def _serve_lines() -> AsyncIterator[tuple[Any, Any]]:
    """Serve standard input and output, and answer a line that is not a message, which the library would drop."""

    async def read_messages() -> AsyncIterator[Any]:
        async with lines:
            async for message in lines:
                if isinstance(message, ValidationError):
                    code = PARSE_ERROR if message.errors()[0]["type"] == "json_invalid" else INVALID_REQUEST
                    error = ErrorData(code=code, message="Not a JSON-RPC 2.0 message. Send one message per line")
                    await answers.send(SessionMessage(JSONRPCError(jsonrpc="2.0", id=None, error=error)))
                else:
                    yield message

    async with stdio_server() as (lines, answers):
        yield read_messages(), answers


class _Keys(TokenVerifier):
    """Accept only requests with a key of the HTTP API."""

    def __init__(self, find_key: Callable[[str], Key | None]) -> None:
        super().__init__()
        self._find_key = find_key

    async def verify_token(self, token: str) -> AccessToken | None:
        key = self._find_key(token)
        return AccessToken(token=token, client_id=key.id, scopes=[key.scope]) if key else None


@contextmanager
def _prefect_and_logs(settings: Settings) -> Iterator[None]:
    """Connect Prefect to its server, and let the libraries log only problems, in the format of the HTTP API."""
    set_up_logs(settings.log_format)
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    library = logging.getLogger("fastmcp")
    library.setLevel(logging.ERROR)
    library.handlers = logging.getLogger("flows.api").handlers
    # Without an address Prefect would start a server in this process.
    with temporary_settings({PREFECT_API_URL: PREFECT_API_URL.value() or DEFAULT_PREFECT}):
        yield
