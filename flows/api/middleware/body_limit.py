"""Middleware that limits the size and the duration of a request's body, and drains a body that is not needed."""

import asyncio
from contextlib import suppress

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from flows.api.errors import ApiError

BODY_LIMIT_BYTES = 64 * 1024
BODY_SECONDS = 10.0
DRAIN_BYTES = 16 * 1024 * 1024
DRAIN_SECONDS = 3.0


class BodyLimit:
    """Reads the whole body before the application runs, so that nothing behind it waits for a slow client."""

    def __init__(
        self, app: ASGIApp, limit_bytes: int = BODY_LIMIT_BYTES, timeout_seconds: float = BODY_SECONDS
    ) -> None:
        self._app = app
        self._limit_bytes = limit_bytes
        self._timeout_seconds = timeout_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Reads the body and passes it on whole.

        Raises:
            ApiError: 413 if it is over the limit (by its ``Content-Length`` before a byte is read), 400 if it did not
                arrive in time.
            ClientDisconnect: the client closed the connection in the middle of the body.
        """
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        length = find_header(scope, b"content-length")
        if length.isdigit() and int(length) > self._limit_bytes:
            raise self._make_size_error()
        body = await self._read(receive)
        await self._app(scope, _replay(body, receive), send)

    async def _read(self, receive: Receive) -> bytes:
        try:
            async with asyncio.timeout(self._timeout_seconds):
                return await self._collect(receive)
        except TimeoutError:
            message = f"The body did not arrive whole within {self._timeout_seconds:g} seconds."
            raise ApiError(400, "invalid_json", message) from None

    async def _collect(self, receive: Receive) -> bytes:
        body = bytearray()
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            body += message.get("body", b"")
            if len(body) > self._limit_bytes:
                raise self._make_size_error()
            more = message.get("more_body", False)
        return bytes(body)

    def _make_size_error(self) -> ApiError:
        details = {"limit_bytes": self._limit_bytes}
        return ApiError(413, "body_too_large", f"The body is over {self._limit_bytes} bytes.", details)


class IncomingBody:
    """Receives a request's body and records whether all of it has arrived."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._receive = receive
        length = find_header(scope, b"content-length")
        self.is_whole = length in {b"", b"0"} and not find_header(scope, b"transfer-encoding")

    async def receive(self) -> Message:
        """The next message."""
        message = await self._receive()
        self.is_whole = self.is_whole or not message.get("more_body", False)
        return message

    async def drain(self, limit_bytes: int = DRAIN_BYTES, timeout_seconds: float = DRAIN_SECONDS) -> None:
        """Reads and discards the rest, within limits: closing a connection with unread bytes can lose the response."""
        drained_bytes = 0
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                while not self.is_whole and drained_bytes < limit_bytes:
                    message = await self.receive()
                    drained_bytes += len(message.get("body", b""))


def check_framing(scope: Scope) -> None:
    """Refuses a body with two lengths, which a proxy may read differently (request smuggling; RFC 9112, section 6.3).

    Raises:
        ApiError: 400, before the key is checked; the connection is closed.
    """
    if find_header(scope, b"transfer-encoding") and find_header(scope, b"content-length"):
        raise ApiError(400, "invalid_request", "A request may have Content-Length or Transfer-Encoding, not both.")


def find_header(scope: Scope, name: bytes) -> bytes:
    """The first value of a header, whose name is given in lower case; empty if it is missing."""
    values = (value for key, value in scope["headers"] if key == name)
    return next(values, b"")


def _replay(body: bytes, receive: Receive) -> Receive:
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return waiting.pop() if waiting else await receive()

    return replay
