"""Which paths need an API key, and the key of a request."""

import base64
import re
from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.types import Scope

from flows.api.errors import ApiError
from flows.api.keys.key import Key

BASE = "/v1"
OPEN_PATHS = frozenset({"/v1/health", "/v1/openapi.json", "/v1/docs"})
OPEN_FOLDER = "/v1/docs/files/"
# What people open in a browser.
PAGE_PATH = re.compile(r"/v1/runs/[^/]+/(report|review(/decisions)?)")


def is_closed(path: str) -> bool:
    """Whether a path needs a key: every path below ``/v1`` but the open ones. Other paths do not exist."""
    is_open = path in OPEN_PATHS or path.startswith(OPEN_FOLDER)
    return not is_open and (path == BASE or path.startswith(f"{BASE}/"))


def authenticate(scope: Scope, find_key: Callable[[str], Key | None]) -> Key:
    """The key of a request.

    People open a run's report and its review in a browser, which can send a key only as the password of its dialog. So
    for these, and only there, HTTP Basic is accepted too, with any user name.

    Raises:
        ApiError: 401, it has no valid key.
    """
    has_dialog = PAGE_PATH.fullmatch(scope["path"]) is not None
    values = Headers(scope=scope).getlist("authorization")
    secret = _read_secret(values[0], has_dialog) if len(values) == 1 else ""
    key = find_key(secret) if secret else None
    if key is None:
        said = "A valid key is needed, as 'Authorization: Bearer <key>'."
        challenge = 'Basic realm="exemplars", charset="UTF-8"' if has_dialog else "Bearer"
        raise ApiError(401, "unauthorized", said, headers={"WWW-Authenticate": challenge})
    return key


def _read_secret(header: str, has_dialog: bool) -> str:
    """The secret in an ``Authorization`` header (RFC 6750; with ``has_dialog`` RFC 7617 too); empty if it has none."""
    scheme, _, credentials = header.strip(" \t").partition(" ")
    if scheme.lower() == "bearer":
        return credentials.strip(" \t")
    if has_dialog and scheme.lower() == "basic":
        try:
            return base64.b64decode(credentials.strip(" \t"), validate=True).decode().partition(":")[2]
        except ValueError:
            return ""
    return ""
