"""What is refused for a request's line or headers alone: a foreign host, too many headers, an encoded slash."""

import re
from collections.abc import Iterable
from ipaddress import AddressValueError, IPv6Address

from starlette.types import ASGIApp, Receive, Scope, Send

from flows.api.errors import ApiError

MAX_HEADERS = 100

_HOST = re.compile(r"(\[[^\[\]]*\]|[^:\[\]]*)(:[0-9]*)?")


class HeadCheck:
    """Middleware; ``allowed_hosts`` as in ``Settings.allowed_hosts``. Against DNS rebinding, among other things."""

    def __init__(self, app: ASGIApp, allowed_hosts: Iterable[str]) -> None:
        self._app = app
        self._allowed_hosts = frozenset(_name_host(host) for host in allowed_hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hands the request on.

        Raises:
            ApiError: 400 for a host that is missing, doubled or foreign and for too many headers, 404 for a path that
                no client writes by chance.
        """
        if scope["type"] == "http":
            if len(scope["headers"]) > MAX_HEADERS:
                raise ApiError(400, "invalid_request", f"There are more than {MAX_HEADERS} headers.")
            self._check_host([value for name, value in scope["headers"] if name == b"host"])
            _check_path(scope)
        await self._app(scope, receive, send)

    def _check_host(self, values: list[bytes]) -> None:
        if len(values) != 1:
            raise ApiError(400, "invalid_request", f"One Host header is needed, {len(values)} came.")
        host = values[0].decode("latin-1")
        if _name_host(host) not in self._allowed_hosts:
            message = f"The host {host!r} is not served here. EXEMPLARS_API_ALLOWED_HOSTS lets it in."
            raise ApiError(400, "invalid_request", message)


def _check_path(scope: Scope) -> None:
    """Routes are found in the decoded path, where an encoded slash is a slash and a last line break is overlooked."""
    if b"%2f" in scope["raw_path"].lower() or scope["path"].endswith("\n"):
        raise ApiError(404, "not_found", "There is nothing at this path: a slash or a line break in it is encoded.")


def _name_host(host: str) -> str:
    """The host without its port, in one spelling; an IPv6 address in brackets, with which settings may come or not."""
    match = _HOST.fullmatch(host)
    name = match[1].lower() if match else host.lower()
    bare = name[1:-1] if name.startswith("[") and name.endswith("]") else name
    try:
        return f"[{IPv6Address(bare)}]"
    except AddressValueError:
        return name
