"""The hint about what a request brought and nobody read: a header and a word in the log, for the route's caller.

The contract ignores unknown fields, so a mistyped ``efort`` would otherwise start a run at another effort in silence.
"""

from collections.abc import Iterable
from urllib.parse import parse_qsl, quote

from fastapi import Request
from starlette.types import Scope

IGNORED = "X-Ignored-Fields"
MAX_NAMES = 10
# Ten names of 32 characters of four bytes each, encoded, are below the 4 KiB that nginx has for an answer's head.
MAX_NAME_LENGTH = 32
_STATE = "ignored_fields"


async def note_query(request: Request) -> None:
    """Notes the query parameters that the route does not read. One without a value, which may be a secret, is not."""
    given = parse_qsl(request.scope["query_string"].decode("latin-1"))
    known = {parameter.alias for parameter in request.scope["route"].dependant.query_params}
    note_ignored(request.scope, (name for name, _ in given if name not in known))


def note_ignored(scope: Scope, names: Iterable[str]) -> None:
    """Notes the names of fields that a request brought and nobody reads."""
    noted: list[str] = scope.setdefault("state", {}).setdefault(_STATE, [])
    noted.extend(names)


def write_ignored(scope: Scope) -> str:
    """The noted names as the value of ``X-Ignored-Fields``; empty where there are none.

    Names stand there once each, percent-encoded (RFC 3986), so that whatever they are they are one header and one log
    line.
    """
    names = scope.get("state", {}).get(_STATE, ())
    shown = (name if len(name) <= MAX_NAME_LENGTH else f"{name[: MAX_NAME_LENGTH - 1]}…" for name in names if name)
    return ", ".join(list(dict.fromkeys(quote(name, safe="") for name in shown))[:MAX_NAMES])
