"""Translates exceptions of FastAPI, Starlette and the engine into errors of the HTTP API."""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from typing import Any, NoReturn

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match

from engine.errors import DefinitionError, ExemplarsError, NoSeedsError, NoTraitsError, OrchestratorError
from flows.api.errors import ApiError, Code

# FastAPI itself raises 400 only for a body that cannot be parsed (nested too deep, or wrongly encoded).
_CODES: Mapping[int, Code] = {
    400: "invalid_json",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    413: "body_too_large",
    503: "orchestrator_unavailable",
}
# Errors of the engine that the client is told about. A wrong definition is 422: the model's author has to correct it.
_ENGINE_ERRORS: Mapping[type[ExemplarsError], tuple[int, Code]] = {
    NoTraitsError: (422, "no_traits"),
    NoSeedsError: (422, "no_seed_samples"),
    DefinitionError: (422, "invalid_request"),
    OrchestratorError: (503, "orchestrator_unavailable"),
}
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
RETRY_AFTER_SECONDS = 5
UNKNOWN = "Something went wrong on our side. The log has it under this request id."


async def _let_through(request: Request, error: Exception) -> NoReturn:
    raise error


async def _name_methods(request: Request, error: HTTPException) -> NoReturn:
    """Passes the error on; where the method is wrong, with those of every route of the path, and not of the first."""
    if error.status_code == 405:
        error.headers = {**(error.headers or {}), "Allow": ", ".join(filter(partial(_is_allowed, request), _METHODS))}
    raise error


def _is_allowed(request: Request, method: str) -> bool:
    scope = {**request.scope, "method": method}
    return any(route.matches(scope)[0] is Match.FULL for route in request.app.routes)


# FastAPI's own handlers would answer in another format; these pass all errors on to the ``Envelope`` middleware.
EXCEPTION_HANDLERS: dict[int | type[Exception], Callable[[Request, Any], Coroutine[Any, Any, Response]]] = {
    HTTPException: _name_methods,
    RequestValidationError: _let_through,
}


def translate_error(error: Exception) -> ApiError:
    """The API error for an exception; an unexpected one becomes a 500 that reveals nothing about it."""
    if isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        return translate_error(error.exceptions[0])
    if isinstance(error, ApiError):
        return error
    if isinstance(error, RequestValidationError):
        return _translate_validation(error.errors())
    if isinstance(error, HTTPException):
        return _translate_status(error)
    if isinstance(error, ExemplarsError):
        return _translate_engine_error(error)
    return ApiError(500, "internal_error", UNKNOWN)


def _translate_engine_error(error: ExemplarsError) -> ApiError:
    """The API error for an error of the engine; errors about our disks and paths become a 500 without details."""
    for kind, (status, code) in _ENGINE_ERRORS.items():
        if isinstance(error, kind):
            problems = getattr(error, "problems", ())
            details = {"problems": [str(problem) for problem in problems]} if problems else None
            headers = {"Retry-After": str(RETRY_AFTER_SECONDS)} if status == 503 else None
            return ApiError(status, code, str(error), details, headers)
    return ApiError(500, "internal_error", UNKNOWN)


def _translate_status(error: HTTPException) -> ApiError:
    code = _CODES.get(error.status_code, "invalid_request" if error.status_code < 500 else "internal_error")
    headers = dict(error.headers or {})
    message = error.detail
    if code == "not_found":
        message = "There is nothing at this path. The endpoints are listed in /v1/openapi.json."
    if code == "method_not_allowed":
        message = f"This path does not allow this method. It allows: {headers.get('Allow', 'none')}."
    return ApiError(error.status_code, code, message, headers=headers)


def _translate_validation(errors: Sequence[Mapping[str, object]]) -> ApiError:
    problems = [_describe_problem(error) for error in errors]
    whole_body = {error["type"] for error in errors if problems and _is_whole_body(error)}
    if "json_invalid" in whole_body:
        return ApiError(400, "invalid_json", "The body is not JSON.", {"problems": problems})
    if "missing" in whole_body:
        return ApiError(400, "invalid_json", "There is no body; a JSON object is needed.", {"problems": problems})
    in_handle = any(problem["in"] == "path" and problem["field"] == "handle" for problem in problems)
    listed = "; ".join(f"{problem['field'] or problem['in']}: {problem['message']}" for problem in problems)
    return ApiError(422, "invalid_handle" if in_handle else "invalid_request", f"{listed}.", {"problems": problems})


def _is_whole_body(error: Mapping[str, object]) -> bool:
    location = error["loc"]
    assert isinstance(location, Sequence)
    return error["type"] == "json_invalid" or tuple(location) == ("body",)


def _describe_problem(error: Mapping[str, object]) -> dict[str, str]:
    """Where the problem is and what it is, without the value that was sent, which may be long or secret."""
    location = error["loc"]
    assert isinstance(location, Sequence)
    where, *field = location
    return {"in": str(where), "field": ".".join(str(part) for part in field), "message": str(error["msg"])}
