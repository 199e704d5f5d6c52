"""Runs the MCP server: for one client by standard input and output, or for many over HTTP on this machine."""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
from mcp.server import Server
from mcp.server.stdio import stdio_server

from engine.errors import RunInterruptedError
from engine.settings import Settings
from engine.system.importing import importing
from flows.api.keys.file import locate_keys, read_keys
from flows.api.keys.key import Key
from flows.api.keys.keyring import KeyRing
from flows.api.middleware.authentication import Authentication
from flows.api.middleware.body_limit import BODY_LIMIT_BYTES, SAMPLES_LIMIT_BYTES
from flows.api.middleware.envelope import Envelope
from flows.api.server import log_to_stderr, serve
from flows.tools_server.identity import ISSUE, identify
from flows.tools_server.server import Context, OpenDoor, make_server

LOOPBACK = "127.0.0.1"
PATH = "/mcp"
# A client waits two seconds for the end of a server whose input it has closed, and then sends a signal.
STOP_SECONDS = 1.0
EACH_KEY = "has the rights of the key that its requests bring"
# The samples of the largest request, and the envelope of the protocol around them.
LIMIT_BYTES = SAMPLES_LIMIT_BYTES + BODY_LIMIT_BYTES


def serve_stdio(settings: Settings) -> None:
    """Serves one client until it closes standard input, or a signal ends the process.

    Nothing but the protocol is written to standard output. Has to be the last thing that the process does.

    Raises:
        InputError, StoreError: as ``identify``.
    """
    server = make_own_server(settings)
    log_to_stderr(settings.log_format)
    if sys.stdin.isatty():
        print("An MCP client starts this command and talks to it. Ctrl-C ends it", file=sys.stderr)
    try:
        asyncio.run(_serve_client(server))
    except* BrokenPipeError:
        # The client has gone without a word. What is left to write is for nobody, and would be complained about.
        os._exit(0)


def serve_http(settings: Settings, port: int) -> None:
    """Serves any number of clients at ``/mcp`` of a port of this machine until a signal ends the process.

    Each request needs a key of the door, and is answered by itself: there are no sessions that a key could enter.

    Args:
        port: 0 takes a free one.

    Raises:
        StoreError: the file of keys cannot be used.
        AddressError: the port is taken.
        SystemExit: it was stopped, with code 0.
    """
    path = locate_keys(settings)
    if not read_keys(path):
        print(f"No key is in {path} yet, and each request needs one: {ISSUE} says how to issue it", file=sys.stderr)
    ring = KeyRing(path)
    server = make_server(lambda: opening_door(settings, ring.find), _read_authorization, EACH_KEY)
    app = server.streamable_http_app(
        streamable_http_path=PATH,
        json_response=True,
        stateless_http=True,
        max_request_body_size=LIMIT_BYTES,
        host=LOOPBACK,
    )
    closed = Authentication(app, ring.find, needs_key=lambda path: path == PATH)
    serve(
        Envelope(closed),
        LOOPBACK,
        port,
        lambda address: print(f"The tools are at {address}{PATH}", flush=True),
        log_format=settings.log_format,
        chosen_by="--port (0 takes a free one)",
    )


def make_own_server(settings: Settings) -> "Server[OpenDoor]":
    """Makes the server of one client: of the key of the settings, or of this machine's own user.

    Raises:
        InputError, StoreError: as ``identify``.
    """
    identity = identify(settings)
    return make_server(
        lambda: opening_door(settings, identity.find_key),
        lambda _: f"Bearer {identity.secret}",
        identity.key.rights,
    )


@asynccontextmanager
async def opening_door(settings: Settings, find_key: Callable[[str], Key | None]) -> AsyncIterator[OpenDoor]:
    """Keeps the door open while the block runs, and yields what waits for it.

    It is opened behind the first answers of the protocol, since Prefect takes seconds to import.
    """
    opened: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    closing = asyncio.Event()

    async def keep_open() -> None:
        try:
            open_door = await asyncio.to_thread(_import_door)
            async with open_door(settings, find_key) as door:
                opened.set_result(door)
                await closing.wait()
        except Exception as error:
            if opened.done():
                raise
            opened.set_exception(error)

    task = asyncio.create_task(keep_open())
    try:
        # Shielded: a request that is cancelled while it waits must not cancel what others wait for.
        yield lambda: asyncio.shield(opened)
    finally:
        closing.set()
        if not opened.done():
            task.cancel()
        await asyncio.wait([task])


def _import_door() -> Any:
    with importing():
        from flows.tools_server.door import open_door

    return open_door


async def _serve_client(server: "Server[OpenDoor]") -> None:
    async with stdio_server() as (read_stream, write_stream):
        with anyio.CancelScope() as scope:
            for number in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(number, _stop, scope)
            await server.run(read_stream, write_stream, server.create_initialization_options())
        if scope.cancel_called:
            # No signal wakes the thread that waits for the client's next line.
            os._exit(RunInterruptedError.exit_code)
    # A plan that nobody waits for any more may still be made in a thread.
    last_resort = threading.Timer(STOP_SECONDS, os._exit, [0])
    last_resort.daemon = True
    last_resort.start()


def _stop(scope: anyio.CancelScope) -> None:
    """Ends what is under way; at the second signal, or where that takes long, at once."""
    if scope.cancel_called:
        os._exit(RunInterruptedError.exit_code)
    last_resort = threading.Timer(STOP_SECONDS, os._exit, [RunInterruptedError.exit_code])
    last_resort.daemon = True
    last_resort.start()
    scope.cancel()


def _read_authorization(context: Context) -> str:
    return context.request.headers.get("authorization", "") if context.request is not None else ""
