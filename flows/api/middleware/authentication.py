"""Middleware that lets only requests with a valid API key pass, except to the open endpoints."""

import base64
import binascii
import re
from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from flows.api.errors import ApiError
from flows.api.keys.key import Key

BASE = "/v1"
OPEN_PATHS = frozenset({"/v1/health", "/v1/openapi.json", "/v1/docs"})
OPEN_FOLDER = "/v1/docs/files/"
# What people open in a browser.
PAGE_PATH = re.compile(r"/v1/runs/[^/]+/(report|review(/decisions)?)")


class Authentication:
    """Authenticates a request and puts its ``Key`` into ``scope["state"]``.

    People open a run's report and its review in a browser, which can send a key only as the password of its dialog. So
    for these, and only there, HTTP Basic is accepted too, with any user name.

    Args:
        needs_key: says of a path whether it needs a key; None for those of the HTTP API.
    """

    def __init__(
        self,
        app: ASGIApp,
        find_key: Callable[[str], Key | None],
        needs_key: Callable[[str], bool] | None = None,
    ) -> None:
        self._app = app
        self._find_key = find_key
        self._needs_key = needs_key or is_closed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on.

        Raises:
            ApiError: 401, without a valid key.
        """
        if scope["type"] == "http" and self._needs_key(scope["path"]):
            has_dialog = PAGE_PATH.fullmatch(scope["path"]) is not None
            scope.setdefault("state", {})["key"] = self._authenticate(scope, has_dialog)
        await self._app(scope, receive, send)

    def _authenticate(self, scope: Scope, has_dialog: bool) -> Key:
        values = [value.decode("latin-1") for name, value in scope["headers"] if name == b"authorization"]
        challenge = {"WWW-Authenticate": 'Basic realm="exemplars", charset="UTF-8"' if has_dialog else "Bearer"}
        if not values:
            raise ApiError(401, "unauthorized", "A key is needed, as 'Authorization: Bearer <key>'.", headers=challenge)
        secret = read_secret(values[0], has_dialog) if len(values) == 1 else None
        key = self._find_key(secret) if secret else None
        if key is None:
            said = "The Authorization header has no valid key. Send it as 'Authorization: Bearer <key>'."
            raise ApiError(401, "unauthorized", said, headers=challenge)
        return key


def is_closed(path: str) -> bool:
    """Whether a path needs a key: every path below ``/v1`` but the open ones. Other paths do not exist."""
    is_open = path in OPEN_PATHS or path.startswith(OPEN_FOLDER)
    return not is_open and (path == BASE or path.startswith(f"{BASE}/"))


def read_secret(header: str, has_dialog: bool = False) -> str | None:
    """The secret in an ``Authorization`` header (RFC 6750; with ``has_dialog`` RFC 7617 too); None if it has none."""
    scheme, _, credentials = header.strip(" \t").partition(" ")
    if scheme.lower() == "bearer":
        return credentials.strip(" \t") or None
    if has_dialog and scheme.lower() == "basic":
        try:
            return base64.b64decode(credentials.strip(" \t"), validate=True).decode().partition(":")[2] or None
        except (binascii.Error, UnicodeDecodeError):
            return None
    return None
