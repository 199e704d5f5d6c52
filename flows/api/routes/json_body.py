"""Parses the JSON object of a request's body, with what a schema cannot say: names that stand there twice."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flows.api.errors import ApiError


@dataclass(frozen=True, slots=True)
class JsonObject:
    """A JSON object that also has its names in order, so that repeated names can be found."""

    fields: dict[str, Any]
    names: Sequence[str]


def parse_object(body: bytes, content_type: str | None, remedy: str) -> JsonObject:
    """Parses a body; every object inside of it is a ``JsonObject`` too, and every number a float, however long it is.

    Args:
        remedy: what to do where there is no body.

    Raises:
        ApiError: 400 if it is not JSON, 422 if it is another value, or the content type is another.
    """
    value = _parse_json(body, remedy)
    if not _is_json(content_type):
        raise refuse_field(f"The content type {content_type!r} is not accepted. Send application/json.", "content-type")
    if not isinstance(value, JsonObject):
        raise refuse_field("The body must be a JSON object.", "body")
    return value


def check_once(subject: str, value: JsonObject, names: Sequence[str], **details: object) -> None:
    """Checks that each of the fields that are read is there once, or not at all.

    Raises:
        ApiError: 422, with ``details`` in its own.
    """
    if twice := next((name for name in names if value.names.count(name) > 1), None):
        raise refuse_field(f"{subject} has {twice} twice. Send it once.", twice, **details)


def describe_value(value: object) -> str:
    """A value of the wrong type, described briefly."""
    if isinstance(value, str):
        return repr(value[:60])
    kinds = {bool: "true or false", float: "a number", list: "a list", JsonObject: "an object", type(None): "null"}
    return kinds.get(type(value), type(value).__name__)


def refuse_field(message: str, field: str, **details: object) -> ApiError:
    """The 422 for a field of the body."""
    return ApiError(422, "invalid_request", message, {"field": field, **details})


def _parse_json(body: bytes, remedy: str) -> object:
    if not body.strip():
        raise ApiError(400, "invalid_json", f"There is no body. {remedy}.")
    try:
        return json.loads(
            body.decode("utf-8-sig"),
            object_pairs_hook=lambda pairs: JsonObject(dict(pairs), [name for name, _ in pairs]),
            parse_constant=_refuse_constant,
            parse_int=float,
        )
    except RecursionError:
        raise ApiError(400, "invalid_json", "The body is nested too deeply.") from None
    except UnicodeDecodeError:
        raise ApiError(400, "invalid_json", "The body is not UTF-8, which JSON is written in.") from None
    except ValueError as error:
        raise ApiError(400, "invalid_json", f"The body is not JSON: {error}.") from None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _is_json(content_type: str | None) -> bool:
    """Whether a content type is ``application/json`` or a kind of it (RFC 6839); a missing one counts as JSON."""
    if content_type is None:
        return True
    kind = content_type.partition(";")[0].strip().lower()
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))
