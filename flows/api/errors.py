"""The HTTP API's error type and its JSON envelope, and what each exception of ours and of others becomes in it."""

import json
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from typing import Any, Literal, NoReturn

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match

from engine.errors import (
    DefinitionError,
    ExemplarsError,
    FrozenModelError,
    NoSeedsError,
    NoTraitsError,
    OrchestratorError,
    SampleConflictError,
)

Code = Literal[
    "unauthorized",
    "forbidden",
    "not_found",
    "model_not_found",
    "trait_not_found",
    "sample_not_found",
    "sample_authored",
    "method_not_allowed",
    "body_too_large",
    "invalid_json",
    "invalid_handle",
    "invalid_request",
    "no_traits",
    "no_seed_samples",
    "already_running",
    "model_busy",
    "model_not_draft",
    "orchestrator_unavailable",
    "internal_error",
]

BASE = "/v1"
REQUEST_ID = "X-Request-Id"
RUN_ID = "X-Run-Id"
IGNORED = "X-Ignored-Fields"
RETRY_AFTER = {"Retry-After": "5"}
UNKNOWN = "Something went wrong on our side. The log has it under this request id."

# Errors of the engine that the client is told about. A wrong definition is 422: the model's author has to correct it.
_ENGINE_ERRORS: Mapping[type[ExemplarsError], tuple[int, Code]] = {
    NoTraitsError: (422, "no_traits"),
    NoSeedsError: (422, "no_seed_samples"),
    FrozenModelError: (409, "model_not_draft"),
    DefinitionError: (422, "invalid_request"),
    OrchestratorError: (503, "orchestrator_unavailable"),
}
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class ApiError(Exception):
    """Why a request is refused: an HTTP status, a code of the contract, a sentence, and details."""

    def __init__(
        self,
        status: int,
        code: Code,
        message: str,
        details: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.details = dict(details or {})
        self.headers = dict(headers or {})


def render_error(error: ApiError, request_id: str) -> Response:
    """The response for an error. It is pure ASCII, since an echoed path may contain half a surrogate pair."""
    envelope = {
        "error": {"code": error.code, "message": error.message, "request_id": request_id, "details": error.details}
    }
    headers = {**error.headers, REQUEST_ID: request_id}
    return Response(json.dumps(envelope), error.status, headers, media_type="application/json")


def translate_error(error: Exception) -> ApiError:
    """The API error for an exception; one of which the client is not told becomes a 500 that reveals nothing of it."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, RequestValidationError):
        return _translate_parameters(error.errors())
    if isinstance(error, HTTPException):
        return _translate_status(error)
    if isinstance(error, SampleConflictError):
        return ApiError(422, "invalid_request", f"{error}.", {"field": "quality", "index": error.index})
    for kind, (status, code) in _ENGINE_ERRORS.items():
        if isinstance(error, kind):
            problems = [str(problem) for problem in getattr(error, "problems", ())]
            details = {"problems": problems} if problems else None
            return ApiError(status, code, str(error), details, RETRY_AFTER if status == 503 else None)
    return ApiError(500, "internal_error", UNKNOWN)


def _translate_status(error: HTTPException) -> ApiError:
    """The API error for what Starlette's routing raises."""
    headers = dict(error.headers or {})
    if error.status_code == 404:
        said = "There is nothing at this path. The endpoints are listed in /v1/openapi.json."
        return ApiError(404, "not_found", said, headers=headers)
    if error.status_code == 405:
        said = f"This path does not allow this method. It allows: {headers.get('Allow', 'none')}."
        return ApiError(405, "method_not_allowed", said, headers=headers)
    return ApiError(500, "internal_error", UNKNOWN)


def _translate_parameters(errors: Sequence[Mapping[str, Any]]) -> ApiError:
    """The 422 for parameters of the path and of the query, without the values, which may be long or secret."""
    problems = [
        {"in": str(error["loc"][0]), "field": str(error["loc"][-1]), "message": str(error["msg"])} for error in errors
    ]
    said = "; ".join(f"{problem['field']}: {problem['message']}" for problem in problems)
    return ApiError(422, "invalid_request", f"{said}.", {"problems": problems})


async def _let_through(request: Request, error: Exception) -> NoReturn:
    raise error


async def _name_methods(request: Request, error: HTTPException) -> NoReturn:
    """Passes the error on; where the method is wrong, with those of every route of the path, and not of the first."""
    if error.status_code == 405:
        error.headers = {**(error.headers or {}), "Allow": ", ".join(filter(partial(_is_allowed, request), METHODS))}
    raise error


def _is_allowed(request: Request, method: str) -> bool:
    scope = {**request.scope, "method": method}
    return any(route.matches(scope)[0] is Match.FULL for route in request.app.routes)


# FastAPI's own handlers would answer in another format; these pass all errors on to the ``Envelope`` middleware.
EXCEPTION_HANDLERS: dict[int | type[Exception], Callable[[Request, Any], Coroutine[Any, Any, Response]]] = {
    HTTPException: _name_methods,
    RequestValidationError: _let_through,
}
