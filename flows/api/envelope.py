"""Outermost middleware: give every request an id, a log line and metrics, and every error its envelope."""

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
# Ten names of 32 characters with four bytes each, encoded, fit into the 4 KiB that nginx has for an answer's head.
MAX_NAME_LENGTH = 32


class Envelope:
    """Set ``scope["state"]["request_id"]``, and turn every exception from further inside into an error response.

    Args:
        counts: the metrics to record, or None if they are not served.
    """

    def __init__(self, app: ASGIApp, counts: RequestMetrics | None = None) -> None:
        self._app = app
        self._counts = counts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request, even after an exception, unless the client has disconnected."""
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
            # If a response has begun already, uvicorn closes it unfinished.
            if status is None:
                await render_error(refusal, request_id)(scope, receive, send_on)
        finally:
            seconds = time.monotonic() - begun
            _log(scope, status, seconds, request_id)
            if self._counts:
                self._counts.record(scope, status, seconds)


def _check_framing(scope: Scope) -> None:
    """Refuse a body with two lengths: a proxy may read it differently (request smuggling; RFC 9112, section 6.3).

    h11 itself refuses two values of ``Content-Length``, and every ``Transfer-Encoding`` except one ``chunked``. The
    connection is closed, so that no later bytes are read as a request.
    """
    headers = Headers(scope=scope)
    if "transfer-encoding" in headers and "content-length" in headers:
        message = "A request may have Content-Length or Transfer-Encoding, not both."
        raise ApiError(400, "invalid_request", message, headers={"Connection": "close"})


def _log(scope: Scope, status: int | None, seconds: float, request_id: str) -> None:
    """Log a request in one line, with the path as sent, in ASCII. The query, which may contain secrets, is left out,
    except for the names of ignored parameters."""
    path = scope.get("raw_path", b"").decode("ascii", "backslashreplace")[:_LONGEST_PATH]
    fields = {"method": scope["method"], "path": path, "status": status, "seconds": round(seconds, 4)}
    line = f"{scope['method']} {path} {status or 'gone'} {seconds * 1000:.0f} ms {request_id}"
    if ignored := write_ignored(scope):
        fields["ignored_fields"] = ignored
        line += f" ignored: {ignored}"
    LOGGER.info("%s", line, extra={**fields, "request_id": request_id})


def write_ignored(scope: Scope) -> str:
    """Return the value of ``X-Ignored-Fields``: the names of ignored fields and parameters; empty if there are none.

    The contract ignores unknown fields, so a mistyped ``efort`` would otherwise silently start a run at another
    effort. Each name appears once, percent-encoded (RFC 3986), so that the value is always one line.
    """
    names = scope["state"].get(IGNORED, ())
    shown = (name if len(name) <= MAX_NAME_LENGTH else f"{name[: MAX_NAME_LENGTH - 1]}…" for name in names if name)
    return ", ".join(list(dict.fromkeys(quote(name, safe="") for name in shown))[:MAX_NAMES])
