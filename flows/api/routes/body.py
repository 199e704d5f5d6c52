"""Read the JSON body of a request into a pydantic model, after the checks of key, handle and scope.

FastAPI itself would parse the body before these checks, and so answer 400 where the contract has 401, 404 or 403.
The names of ignored fields and query parameters are noted for ``X-Ignored-Fields``.
"""

import codecs
import re
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import from_json

from flows.api.errors import IGNORED, ApiError

_JSON = re.compile(r"application/(.+\+)?json")


class Body(BaseModel):
    """A JSON object of a request. Fields that are not named are ignored, and ``X-Ignored-Fields`` names them."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)


BodyType = TypeVar("BodyType", bound=Body)


async def read_body(request: Request, kind: type[BodyType]) -> BodyType:
    """Return the body of a request, and note the names of its ignored fields.

    Raises:
        ApiError: 400 if it is not JSON; 422 if it is JSON but does not match ``kind``, or has another content type.
    """
    content_type = request.headers.get("content-type", "application/json")
    body = await run_in_threadpool(_parse, await request.body(), content_type, kind)
    _note(request, dict.fromkeys(_list_extra(body)))
    return body


async def note_query(request: Request) -> None:
    """Note the query parameters that the route ignores, except one without a value, which may be a secret."""
    given = parse_qsl(request.scope["query_string"].decode("latin-1"))
    known = {parameter.alias for parameter in request.scope["route"].dependant.query_params}
    _note(request, (name for name, _ in given if name not in known))


def describe_body(kind: type[Body]) -> dict[str, Any]:
    """Return the ``openapi_extra`` of a route that reads a body of this kind."""
    schema = kind.model_json_schema()
    inlined = _inline(schema, schema.pop("$defs", {}))
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": inlined}}}}


def refuse_field(message: str, field: str, **details: object) -> ApiError:
    """Return the 422 for a field of the body."""
    return ApiError(422, "invalid_request", message, {"field": field, **details})


def _note(request: Request, names: Iterable[str]) -> None:
    request.scope["state"].setdefault(IGNORED, []).extend(names)


def _parse(body: bytes, content_type: str, kind: type[BodyType]) -> BodyType:
    if not body.strip():
        raise ApiError(400, "invalid_json", "There is no body. Send a JSON object.")
    try:
        value = from_json(body.removeprefix(codecs.BOM_UTF8), allow_inf_nan=False)
    except ValueError as error:
        raise ApiError(400, "invalid_json", f"The body is not JSON: {error}.") from None
    if not _JSON.fullmatch(content_type.partition(";")[0].strip().lower()):
        raise refuse_field(f"The content type {content_type!r} is not accepted. Send application/json.", "content-type")
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        raise _refuse_value(first["loc"], first["msg"]) from None


def _refuse_value(path: tuple[int | str, ...], message: str) -> ApiError:
    """Return the 422 for the value at a path such as ``("samples", 2, "quality")``."""
    names = [part for part in path if isinstance(part, str)]
    index = next((part for part in path if isinstance(part, int)), None)
    if index is None:
        field = names[0] if names else "body"
        return refuse_field(f"{field}: {message}.", field)
    # After the name of a field pydantic lists the members of a union.
    field = names[1] if len(names) > 1 else names[0]
    return refuse_field(f"Sample {index}: {field}: {message}.", field, index=index)


def _list_extra(body: Body, prefix: str = "") -> Iterator[str]:
    """Yield the names of ignored fields; a field of an object in a list has the list's name as its prefix."""
    yield from (prefix + name for name in body.model_extra or ())
    for field in type(body).model_fields:
        value = getattr(body, field)
        for item in value if isinstance(value, list) else ():
            yield from _list_extra(item, f"{field}.")


def _inline(schema: Any, definitions: dict[str, Any]) -> Any:
    if isinstance(schema, list):
        return [_inline(each, definitions) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _inline(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    return {name: _inline(each, definitions) for name, each in schema.items()}
