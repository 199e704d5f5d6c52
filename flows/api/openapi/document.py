"""Describes for OpenAPI what every operation may answer: headers, codes, examples and links to further operations."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel

from flows.api.errors import REQUEST_ID, RUN_ID
from flows.api.ignored_fields import IGNORED
from flows.api.openapi.examples import ANSWERS, PAGES
from flows.api.openapi.refusals import REFUSALS, REQUEST_EXAMPLE, Refused, make_example
from flows.api.schemas import RUN_ID_EXAMPLE, ErrorEnvelope

# Any operation may answer these, even with a valid path and key.
ALWAYS: Sequence[Refused] = (
    (400, "invalid_request"),
    (400, "invalid_json"),
    (413, "body_too_large"),
    (500, "internal_error"),
    (503, "internal_error"),
)
CLOSED: Sequence[Refused] = ((401, "unauthorized"),)
# Any operation whose path holds a handle.
OF_MODEL: Sequence[Refused] = ((404, "not_found"), (404, "model_not_found"), (422, "invalid_handle"))
BY_PREFECT: Sequence[Refused] = ((503, "orchestrator_unavailable"),)
# FastAPI's own shapes, which no answer of ours has.
FOREIGN = ("HTTPValidationError", "ValidationError")

_TEXT: Mapping[str, Any] = {"type": "string"}
_HEADERS: Mapping[str, Mapping[str, Any]] = {
    REQUEST_ID: {
        "description": f"The id of this request, the same as in the log: the request's own `{REQUEST_ID}` where it "
        "brought one of 1 to 64 letters, digits, `.`, `_` and `-`, else a new one.",
        "required": True,
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"},
        "example": REQUEST_EXAMPLE,
    },
    IGNORED: {
        "description": "The fields of the body and the query parameters that this request brought and nobody read: at "
        "most ten names, percent-encoded, with commas between; absent where there are none.",
        "schema": _TEXT,
        "example": "efort",
    },
    RUN_ID: {
        "description": "The run that is the reason; absent where none is, as with `model_not_draft`.",
        "schema": {"type": "string", "format": "uuid"},
        "example": RUN_ID_EXAMPLE,
    },
    "Retry-After": {
        "description": "Seconds after which to ask again.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
        "example": 5,
    },
    "WWW-Authenticate": {
        "description": "How a key is sent.",
        "required": True,
        "schema": _TEXT,
        "example": "Bearer",
    },
    "Vary": {
        "description": "The answer depends on the request's `Accept`.",
        "required": True,
        "schema": _TEXT,
        "example": "Accept",
    },
}
_ON_EVERY_ANSWER = (REQUEST_ID, IGNORED)
_HEADERS_OF: Mapping[int, Sequence[str]] = {
    401: ("WWW-Authenticate",),
    409: (RUN_ID,),
    503: ("Retry-After",),
}

_EXAMPLES: Mapping[str, Any] = {kind.__name__: answer.model_dump(mode="json") for kind, answer in ANSWERS.items()}


def describe_answers(
    content: type[BaseModel] | str,
    *refused: Refused,
    success: int = 200,
    markdown: bool = False,
    is_open: bool = False,
    links: Mapping[str, Any] | None = None,
) -> dict[int | str, dict[str, Any]]:
    """The ``responses`` of a route: its success, its own refusals, and those that any route may answer.

    Args:
        content: the body of a success: a response model, or a media type.
        refused: the route's own refusals.
        markdown: whether a success may be the model card instead.
        is_open: whether the route needs no key.
        links: the operations that may follow a success, each made by ``link``.
    """
    described: dict[int | str, dict[str, Any]] = {success: _describe_success(content, markdown, links or {})}
    wanted = {*ALWAYS, *refused, *(() if is_open else CLOSED)}
    # In the order of ``REFUSALS``, which is by status.
    ordered = [each for each in REFUSALS if each in wanted]
    for status in sorted({status for status, _ in ordered}):
        described[status] = _describe_refusals([each for each in ordered if each[0] == status])
    return described


def add_document(app: FastAPI) -> None:
    """Corrects the document that FastAPI generates for the application.

    FastAPI adds a 422 of its own to routes that describe none, and drops every null, even in examples.
    """
    make = app.openapi

    @cache
    def make_document() -> dict[str, Any]:
        document = make()
        for operation in (each for item in document["paths"].values() for each in item.values()):
            if FOREIGN[0] in str(operation["responses"].get("422")):
                del operation["responses"]["422"]
            for answer in operation["responses"].values():
                _put_example(answer["content"])
        for name in FOREIGN:
            document["components"]["schemas"].pop(name, None)
        return document

    # As FastAPI's own documentation has it ("Extending OpenAPI").
    app.openapi = make_document  # type: ignore[method-assign]


def link(operation: str, description: str, **parameters: str) -> dict[str, Any]:
    """An OpenAPI link to an operation that may follow; ``parameters`` are runtime expressions on this one."""
    return {"operationId": operation, "description": description, "parameters": parameters}


def _describe_success(content: type[BaseModel] | str, markdown: bool, links: Mapping[str, Any]) -> dict[str, Any]:
    described: dict[str, Any] = {"headers": _name_headers(*_ON_EVERY_ANSWER, *(["Vary"] if markdown else []))}
    if links:
        described["links"] = dict(links)
    if isinstance(content, str):
        return {**described, "description": "The page.", "content": {content: _describe_page(content)}}
    described |= {"model": content, "description": (content.__doc__ or "").strip().splitlines()[0]}
    if markdown:
        described["content"] = {"text/markdown": _describe_page("text/markdown")}
    return described


def _put_example(contents: Mapping[str, Any]) -> None:
    """Adds the example of a success's JSON, which is found by the name of its schema."""
    content = contents.get("application/json", {})
    example = _EXAMPLES.get(content.get("schema", {}).get("$ref", "").rpartition("/")[2])
    if example is not None:
        content["example"] = example


def _describe_page(media_type: str) -> dict[str, Any]:
    return {"schema": _TEXT, "example": PAGES[media_type]}


def _describe_refusals(refused: Sequence[Refused]) -> dict[str, Any]:
    """One status: the error envelope with the codes that this operation uses for that status."""
    codes = [code for _, code in refused]
    said = "; ".join(f"`{code}`: {REFUSALS[status, code].when}" for status, code in refused)
    content = {
        "schema": {"properties": {"error": {"properties": {"code": {"enum": codes}}}}},
        "examples": {each[1]: {"summary": REFUSALS[each].when, "value": make_example(each)} for each in refused},
    }
    return {
        "model": ErrorEnvelope,
        "description": f"{said}.",
        "headers": _name_headers(*_ON_EVERY_ANSWER, *_HEADERS_OF.get(refused[0][0], ())),
        "content": {"application/json": content},
    }


def _name_headers(*names: str) -> dict[str, Any]:
    return {name: dict(_HEADERS[name]) for name in names}
