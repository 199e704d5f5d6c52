"""Middleware that reads a request's body whole, within a limit of its size and of its time."""

import asyncio
import re

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from flows.api.errors import ApiError

BODY_LIMIT_BYTES = 64 * 1024
BODY_SECONDS = 10.0
# Where samples are added: 500 at a time. The contract has the size.
SAMPLES_PATH = re.compile(r"/v1/models/[^/]+/samples")
SAMPLES_LIMIT_BYTES = 8 * 1024 * 1024
SAMPLES_SECONDS = 60.0
CLOSE = {"Connection": "close"}


class BodyLimit:
    """Reads the whole body before the application runs, so that nothing behind it waits for a slow client.

    Of a body that is refused uvicorn discards what still comes, so that a client which sends on gets its answer.
    """

    def __init__(self, app: ASGIApp, timeout_seconds: float = BODY_SECONDS) -> None:
        self._app = app
        self._timeout_seconds = timeout_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Reads the body and passes it on whole.

        Raises:
            ApiError: 413 if it is over the limit (by its ``Content-Length`` before a byte is read), 400 if it did not
                arrive in time.
            ClientDisconnect: the client closed the connection in the middle of the body.
        """
        if scope["type"] == "http":
            adds = scope["method"] == "POST" and SAMPLES_PATH.fullmatch(scope["path"]) is not None
            limit_bytes = SAMPLES_LIMIT_BYTES if adds else BODY_LIMIT_BYTES
            timeout_seconds = SAMPLES_SECONDS if adds else self._timeout_seconds
            try:
                async with asyncio.timeout(timeout_seconds):
                    body = await _read(Request(scope, receive), limit_bytes)
            except TimeoutError:
                message = f"The body did not arrive whole within {timeout_seconds:g} seconds."
                raise ApiError(400, "invalid_json", message, headers=CLOSE) from None
            receive = _replay(body, receive)
        await self._app(scope, receive, send)


def check_framing(scope: Scope) -> None:
    """Refuses a body with two lengths, which a proxy may read differently (request smuggling; RFC 9112, section 6.3).

    h11 refuses two values of ``Content-Length`` itself, and every ``Transfer-Encoding`` but one ``chunked``.

    Raises:
        ApiError: 400, before the key is checked; the connection is closed, so that nothing behind it is a request.
    """
    headers = Headers(scope=scope)
    if "transfer-encoding" in headers and "content-length" in headers:
        message = "A request may have Content-Length or Transfer-Encoding, not both."
        raise ApiError(400, "invalid_request", message, headers=CLOSE)


async def _read(request: Request, limit_bytes: int) -> bytes:
    length = request.headers.get("content-length", "")
    body = bytearray()
    _check_size(int(length) if length.isdigit() else 0, limit_bytes)
    async for piece in request.stream():
        body += piece
        _check_size(len(body), limit_bytes)
    return bytes(body)


def _check_size(size: int, limit_bytes: int) -> None:
    if size > limit_bytes:
        details = {"limit_bytes": limit_bytes}
        raise ApiError(413, "body_too_large", f"The body is over {limit_bytes} bytes.", details)


def _replay(body: bytes, receive: Receive) -> Receive:
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return waiting.pop() if waiting else await receive()

    return replay
