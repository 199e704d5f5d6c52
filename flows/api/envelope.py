"""The outermost middleware: gives every request an id, a log line and its metrics, and every error its envelope."""

import asyncio
import logging
import re
import time
from urllib.parse import quote
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from flows.api.errors import IGNORED, REQUEST_ID, ApiError, render_error, translate_error
from flows.api.metrics import RequestMetrics

LOGGER = logging.getLogger("flows.api")

_GIVEN_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_LONGEST_PATH = 200
MAX_NAMES = 10
# Ten names of 32 characters of four bytes each, encoded, are below the 4 KiB that nginx has for an answer's head.
MAX_NAME_LENGTH = 32


class Envelope:
    """Sets ``scope["state"]["request_id"]`` and turns every exception from further inside into an error response.

    Args:
        counts: the metrics to record, or None if they are not served.
    """

    def __init__(self, app: ASGIApp, counts: RequestMetrics | None = None) -> None:
        self._app = app
        self._counts = counts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers the request, whatever is raised, unless the client has gone."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(REQUEST_ID, "")
        request_id = given if _GIVEN_ID.fullmatch(given) else uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        status: int | None = None

        async def send_on(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers[REQUEST_ID] = request_id
                if ignored := write_ignored(scope):
                    headers[IGNORED] = ignored
                headers.setdefault("X-Content-Type-Options", "nosniff")
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        begun = time.monotonic()
        try:
            _check_framing(scope)
            await self._app(scope, receive, send_on)
        except ClientDisconnect:
            pass
        except (Exception, asyncio.CancelledError) as error:
            refusal = translate_error(error)
            if refusal.status == 500 or (status and isinstance(error, Exception)):
                LOGGER.exception("%s failed", request_id, extra={"request_id": request_id})
            # Where a response has begun already, uvicorn closes it unfinished.
            if status is None:
                await render_error(refusal, request_id)(scope, receive, send_on)
        finally:
            seconds = time.monotonic() - begun
            _log(scope, status, seconds, request_id)
            if self._counts:
                self._counts.record(scope, status, seconds)


def _check_framing(scope: Scope) -> None:
    """Refuses a body with two lengths, which a proxy may read differently (request smuggling; RFC 9112, section 6.3).

    h11 refuses two values of ``Content-Length`` itself, and every ``Transfer-Encoding`` but one ``chunked``. The
    connection is closed, so that nothing behind it is a request.
    """
    headers = Headers(scope=scope)
    if "transfer-encoding" in headers and "content-length" in headers:
        message = "A request may have Content-Length or Transfer-Encoding, not both."
        raise ApiError(400, "invalid_request", message, headers={"Connection": "close"})


def _log(scope: Scope, status: int | None, seconds: float, request_id: str) -> None:
    """Logs one line. The path is logged as it was sent, in ASCII, but of the query, which may contain secrets, only
    the names of parameters that nobody read."""
    path = scope.get("raw_path", b"").decode("ascii", "backslashreplace")[:_LONGEST_PATH]
    told = {"method": scope["method"], "path": path, "status": status, "seconds": round(seconds, 4)}
    said = f"{scope['method']} {path} {status or 'gone'} {seconds * 1000:.0f} ms {request_id}"
    if ignored := write_ignored(scope):
        told["ignored_fields"] = ignored
        said += f" ignored: {ignored}"
    LOGGER.info("%s", said, extra={**told, "request_id": request_id})


def write_ignored(scope: Scope) -> str:
    """The names of what a request brought and nobody read, as ``X-Ignored-Fields``; empty where there are none.

    The contract ignores unknown fields, so a mistyped ``efort`` would otherwise start a run at another effort in
    silence. Names stand there once each, percent-encoded (RFC 3986): whatever they are, they are one line.
    """
    names = scope["state"].get(IGNORED, ())
    shown = (name if len(name) <= MAX_NAME_LENGTH else f"{name[: MAX_NAME_LENGTH - 1]}…" for name in names if name)
    return ", ".join(list(dict.fromkeys(quote(name, safe="") for name in shown))[:MAX_NAMES])
