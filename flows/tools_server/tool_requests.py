"""Makes the arguments of a tool an HTTP request to the door, which judges them; here only what no request can say."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from engine.domain.model import check_handle
from engine.errors import HandleError
from flows.api.errors import ApiError
from flows.tools_server.tool_schemas import Operation

KINDS = {list: "a list", dict: "an object", type(None): "null"}


@dataclass(frozen=True, slots=True)
class ToolRequest:
    """A request to the door; ``path`` is relative to its base."""

    method: str
    path: str
    query: Mapping[str, str]
    body: bytes | None


def make_request(operation: Operation, arguments: Mapping[str, Any]) -> ToolRequest:
    """The request of an operation with these arguments; what the body may not have, the door ignores or refuses.

    Raises:
        ApiError: 422, an argument of the path is missing or empty, or is none that a path or a query can hold.
    """
    path = operation.path.removeprefix("/v1")
    for name in operation.in_path:
        path = path.replace(f"{{{name}}}", _write_part(name, arguments.get(name)))
    elsewhere = (*operation.in_path, *operation.in_query)
    query = {
        name: _write_value(name, arguments[name]) for name in operation.in_query if arguments.get(name) is not None
    }
    fields = {name: value for name, value in arguments.items() if name not in elsewhere}
    return ToolRequest(operation.method, path, query, json.dumps(fields).encode() if operation.has_body else None)


def refuse_argument(message: str, name: str) -> ApiError:
    """The 422 for an argument that the door is not asked about."""
    return ApiError(422, "invalid_request", message, {"field": name})


def _write_part(name: str, value: object) -> str:
    """An argument as one part of a path."""
    if value is None:
        raise refuse_argument(f"{name} is missing, and is needed.", name)
    text = _write_value(name, value)
    if not text and name == "handle":
        try:
            check_handle(text)
        except HandleError as error:
            raise ApiError(422, "invalid_handle", f"{error}.", {"handle": text}) from None
    if not text:
        raise refuse_argument(f"{name} is empty, and is needed.", name)
    # As they are, these would lead to another path.
    return text.replace(".", "%2E") if text in (".", "..") else quote(text, safe="", errors="replace")


def _write_value(name: str, value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, str | int | float):
        return str(value)
    raise refuse_argument(f"{name} is {KINDS.get(type(value), 'of another kind')}. Send a text or a number.", name)
