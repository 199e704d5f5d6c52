"""Middleware that checks the API key, body size and Host header, in the order that the contract sets for refusals."""

import base64
import re
from collections.abc import Callable, Iterable

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from flows.api.errors import BASE, ApiError
from flows.api.keys import Key

OPEN_PATHS = frozenset({"/v1/health", "/v1/openapi.json", "/v1/docs"})
OPEN_FOLDER = "/v1/docs/files/"
# Pages that people open in a browser.
PAGE_PATH = re.compile(r"/v1/runs/[^/]+/(report|review(/decisions)?)")
BODY_LIMIT_BYTES = 64 * 1024
# The path where samples are added, 500 at a time. The contract sets the size.
SAMPLES_PATH = re.compile(r"/v1/models/[^/]+/samples")
SAMPLES_LIMIT_BYTES = 8 * 1024 * 1024

_HOST = re.compile(r"(\[[^\[\]]*\]|[^:\[\]]*)(:[0-9]*)?")
# The only path that ends in a handle: a line break at its end belongs to the handle, and the route refuses it.
_MODEL_PATH = re.compile(r"/v1/models/[^/]+")


class Guard:
    """Put the request's ``Key`` into ``scope["state"]``, and pass on the complete body.

    Args:
        find_key: returns the key of a secret.
        allowed_hosts: as in the settings. Starlette's check of hosts is not used: it answers without the envelope.
    """

    def __init__(self, app: ASGIApp, find_key: Callable[[str], Key | None], allowed_hosts: Iterable[str]) -> None:
        self._app = app
        self._find_key = find_key
        self._allowed_hosts = frozenset(host.lower().strip("[]") for host in allowed_hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check the request and pass it on.

        Raises:
            ApiError: 401 without a valid key, 413, 400 for a host that is missing, doubled or foreign, 404 for a path
                with an encoded slash or an encoded line break at its end.
            ClientDisconnect: the client closed the connection in the middle of the body.
        """
        if scope["type"] == "http":
            path = scope["path"]
            # Other paths do not exist, and so need no key.
            if f"{path}/".startswith(f"{BASE}/") and path not in OPEN_PATHS and not path.startswith(OPEN_FOLDER):
                scope.setdefault("state", {})["key"] = _authenticate(scope, self._find_key)
            receive = await _read_whole(scope, receive)
            _check_host(scope, self._allowed_hosts)
            _check_path(scope)
        await self._app(scope, receive, send)


def _authenticate(scope: Scope, find_key: Callable[[str], Key | None]) -> Key:
    # People open a run's report and review in a browser, which can send a key only as the password of its dialog.
    # So these two pages, and no others, also accept HTTP Basic, with any user name.
    has_dialog = PAGE_PATH.fullmatch(scope["path"]) is not None
    values = Headers(scope=scope).getlist("authorization")
    secret = _read_secret(values[0], has_dialog) if len(values) == 1 else ""
    key = find_key(secret) if secret else None
    if key is None:
        message = "A valid key is needed, as 'Authorization: Bearer <key>'."
        challenge = 'Basic realm="exemplars", charset="UTF-8"' if has_dialog else "Bearer"
        raise ApiError(401, "unauthorized", message, headers={"WWW-Authenticate": challenge})
    return key


async def _read_whole(scope: Scope, receive: Receive) -> Receive:
    """Read the whole body, so that no route waits for a slow client, and return a ``receive`` that replays it.

    A ``Content-Length`` over the limit is refused before a byte is read. uvicorn discards the rest of a refused
    body, so that a client that is still sending gets its answer. A proxy has to limit the time that this takes.
    """
    adds_samples = scope["method"] == "POST" and SAMPLES_PATH.fullmatch(scope["path"]) is not None
    limit_bytes = SAMPLES_LIMIT_BYTES if adds_samples else BODY_LIMIT_BYTES
    length = Headers(scope=scope).get("content-length", "")
    _check_size(int(length) if length.isdigit() else 0, limit_bytes)
    body = bytearray()
    async for piece in Request(scope, receive).stream():
        body += piece
        _check_size(len(body), limit_bytes)
    waiting: list[Message] = [{"type": "http.request", "body": bytes(body), "more_body": False}]

    async def replay() -> Message:
        return waiting.pop() if waiting else await receive()

    return replay


def _read_secret(header: str, has_dialog: bool) -> str:
    """Return the secret in an ``Authorization`` header (RFC 6750; with ``has_dialog`` also RFC 7617), else ``""``."""
    scheme, _, credentials = header.strip(" \t").partition(" ")
    if scheme.lower() == "bearer":
        return credentials.strip(" \t")
    if has_dialog and scheme.lower() == "basic":
        try:
            return base64.b64decode(credentials.strip(" \t"), validate=True).decode().partition(":")[2]
        except ValueError:
            return ""
    return ""


def _check_size(size: int, limit_bytes: int) -> None:
    if size > limit_bytes:
        details = {"limit_bytes": limit_bytes}
        raise ApiError(413, "body_too_large", f"The body is over {limit_bytes} bytes.", details)


def _check_host(scope: Scope, allowed: frozenset[str]) -> None:
    host = ", ".join(Headers(scope=scope).getlist("host"))
    match = _HOST.fullmatch(host)
    if match is None or match[1].lower().strip("[]") not in allowed:
        message = f"The host {host!r} is not served here. EXEMPLARS_API_ALLOWED_HOSTS can allow it."
        raise ApiError(400, "invalid_request", message)


def _check_path(scope: Scope) -> None:
    """Refuse a path that Starlette would match as another path.

    Starlette matches routes on the decoded path, where an encoded slash separates like any other. Its patterns end
    in ``$``, which also matches before a last line break: ``/v1/health%0A`` would be ``/v1/health``.
    """
    path = scope["path"]
    ends_in_line_break = path.endswith("\n") and not _MODEL_PATH.fullmatch(path)
    if b"%2f" in scope["raw_path"].lower() or ends_in_line_break:
        raise ApiError(404, "not_found", "There is nothing at this path: a slash or a line break in it is encoded.")
