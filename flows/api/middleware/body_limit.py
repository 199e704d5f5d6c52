"""Middleware that reads a request's body whole, within a limit of its size."""

import re

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from flows.api.errors import ApiError

BODY_LIMIT_BYTES = 64 * 1024
# Where samples are added: 500 at a time. The contract has the size.
SAMPLES_PATH = re.compile(r"/v1/models/[^/]+/samples")
SAMPLES_LIMIT_BYTES = 8 * 1024 * 1024


class BodyLimit:
    """Reads the whole body before the application runs, so that nothing behind it waits for a slow client.

    Of a body that is refused uvicorn discards what still comes, so that a client which sends on gets its answer. How
    long a client takes is not limited: that is the part of a proxy.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Reads the body and passes it on whole.

        Raises:
            ApiError: 413 if it is over the limit, by its ``Content-Length`` before a byte is read.
            ClientDisconnect: the client closed the connection in the middle of the body.
        """
        if scope["type"] == "http":
            adds = scope["method"] == "POST" and SAMPLES_PATH.fullmatch(scope["path"]) is not None
            limit_bytes = SAMPLES_LIMIT_BYTES if adds else BODY_LIMIT_BYTES
            body = await _read(Request(scope, receive), limit_bytes)
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
        raise ApiError(400, "invalid_request", message, headers={"Connection": "close"})


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
