"""OpenAPI: what every operation may answer, with its headers, codes and examples."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from flows.api.answers import RUN_ID_EXAMPLE, ErrorEnvelope
from flows.api.errors import REQUEST_ID, RUN_ID, Code

REQUEST_EXAMPLE = "5f0c6e0e8f5b4a7f9d0f3b1c2a4e6d80"
# Any operation may answer these, a path that is found and a key that is in force notwithstanding.
ALWAYS = (400, 401, 404, 413, 500)

_HEADERS: Mapping[str, Any] = {
    REQUEST_ID: {
        "description": "The id of this request, the same as in the log; the request's own where it brought a good one.",
        "schema": {"type": "string"},
    },
    RUN_ID: {"description": "The run that is the reason.", "schema": {"type": "string", "format": "uuid"}},
    "Retry-After": {"description": "Seconds after which it may go better.", "schema": {"type": "integer"}},
    "WWW-Authenticate": {"description": "How a key is sent.", "schema": {"type": "string"}},
    "Vary": {"description": "The answer depends on `Accept`.", "schema": {"type": "string"}},
}
_STATUSES: Mapping[int, tuple[str, tuple[Code, ...], tuple[str, ...]]] = {
    400: ("The request cannot be read: its host, its headers, or its body.", ("invalid_request", "invalid_json"), ()),
    401: ("No key, or none that is in force.", ("unauthorized",), ("WWW-Authenticate",)),
    403: ("The key's scope or its namespaces do not permit it.", ("forbidden",), ()),
    404: (
        "There is no such thing, or the key may not know of it.",
        ("model_not_found", "trait_not_found", "not_found"),
        (),
    ),
    409: (
        "A run works on the model, or it is no draft.",
        ("already_running", "model_busy", "model_not_draft"),
        (RUN_ID,),
    ),
    413: ("The body is over 64 KiB.", ("body_too_large",), ()),
    422: (
        "The request can be read and makes no sense here.",
        ("invalid_handle", "invalid_request", "no_traits", "no_seed_samples"),
        (),
    ),
    500: ("Something went wrong on this side.", ("internal_error",), ()),
    503: ("Prefect's server does not answer.", ("orchestrator_unavailable",), ("Retry-After",)),
}


def describe_answers(
    content: type[BaseModel] | str, *statuses: int, success: int = 200, markdown: bool = False, is_open: bool = False
) -> dict[int | str, dict[str, Any]]:
    """The ``responses`` of a route: its success, what it may refuse with, and what any route may.

    Args:
        content: what a success carries: an answer, or a media type.
        is_open: the route needs no key.
    """
    described: dict[int | str, dict[str, Any]] = {success: _describe_success(content, markdown)}
    wanted = {*ALWAYS, *statuses} - ({401} if is_open else set())
    return described | {status: _describe_refusal(status) for status in sorted(wanted)}


def _describe_success(content: type[BaseModel] | str, markdown: bool) -> dict[str, Any]:
    headers = _name_headers(REQUEST_ID, *(["Vary"] if markdown else []))
    described: dict[str, Any] = {"headers": headers}
    if isinstance(content, str):
        return {**described, "description": "The page.", "content": {content: {"schema": {"type": "string"}}}}
    described |= {"model": content, "description": (content.__doc__ or "").strip().splitlines()[0]}
    if markdown:
        described["content"] = {
            "text/markdown": {"schema": {"type": "string"}, "example": "# u22a8.technical-writing\n"}
        }
    return described


def _describe_refusal(status: int) -> dict[str, Any]:
    said, codes, headers = _STATUSES[status]
    return {
        "model": ErrorEnvelope,
        "description": f"{said} Codes: {', '.join(f'`{code}`' for code in codes)}.",
        "headers": _name_headers(REQUEST_ID, *headers),
        "content": {"application/json": {"example": _make_example(status, codes[0])}},
    }


def _name_headers(*names: str) -> dict[str, Any]:
    return {name: _HEADERS[name] for name in names}


def _make_example(status: int, code: Code) -> dict[str, Any]:
    details = {"run_id": RUN_ID_EXAMPLE} if status == 409 else {}
    message = _STATUSES[status][0]
    return {"error": {"code": code, "message": message, "request_id": REQUEST_EXAMPLE, "details": details}}
