"""Middleware that refuses requests for a foreign host, and those with an encoded slash in the path."""

import re
from collections.abc import Iterable

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from flows.api.errors import ApiError

_HOST = re.compile(r"(\[[^\[\]]*\]|[^:\[\]]*)(:[0-9]*)?")
# The one path that ends in a handle: a line break at its end belongs to the handle, and the route refuses that.
_MODEL_PATH = re.compile(r"/v1/models/[^/]+")


class HostCheck:
    """Checks the ``Host`` header, against DNS rebinding among others; ``allowed_hosts`` as in the settings.

    Starlette's own middleware for it answers without the envelope.
    """

    def __init__(self, app: ASGIApp, allowed_hosts: Iterable[str]) -> None:
        self._app = app
        self._allowed_hosts = frozenset(host.lower().strip("[]") for host in allowed_hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on.

        Raises:
            ApiError: 400 for a host that is missing, doubled or foreign; 404 for a path with an encoded slash or an
                encoded line break at its end.
        """
        if scope["type"] == "http":
            self._check_host(scope)
            _check_path(scope)
        await self._app(scope, receive, send)

    def _check_host(self, scope: Scope) -> None:
        host = ", ".join(Headers(scope=scope).getlist("host"))
        match = _HOST.fullmatch(host)
        if match is None or match[1].lower().strip("[]") not in self._allowed_hosts:
            message = f"The host {host!r} is not served here. EXEMPLARS_API_ALLOWED_HOSTS can allow it."
            raise ApiError(400, "invalid_request", message)


def _check_path(scope: Scope) -> None:
    """Refuses what Starlette would take for another path.

    It matches routes on the decoded path, where an encoded slash separates like any other, and by patterns that end in
    ``$``, which also matches before a last line break: ``/v1/health%0A`` would be ``/v1/health``.
    """
    path = scope["path"]
    ends_in_line_break = path.endswith("\n") and not _MODEL_PATH.fullmatch(path)
    if b"%2f" in scope["raw_path"].lower() or ends_in_line_break:
        raise ApiError(404, "not_found", "There is nothing at this path: a slash or a line break in it is encoded.")
