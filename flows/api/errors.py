"""The HTTP API's error type, its JSON envelope, and the translation of every exception into them."""

import asyncio
import json
from collections.abc import Callable, Coroutine, Mapping
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

# Errors of the engine that are shown to the client. A wrong definition is 422: the model's author has to correct it.
_ENGINE_ERRORS: Mapping[type[ExemplarsError], tuple[int, Code]] = {
    NoTraitsError: (422, "no_traits"),
    NoSeedsError: (422, "no_seed_samples"),
    DefinitionError: (422, "invalid_request"),
    OrchestratorError: (503, "orchestrator_unavailable"),
}
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class ApiError(Exception):
    """Refusal of a request: an HTTP status, a code of the contract, a sentence, and details."""

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
    """Return the response for an error, in pure ASCII: an echoed path may contain half a surrogate pair."""
    envelope = {
        "error": {"code": error.code, "message": error.message, "request_id": request_id, "details": error.details}
    }
    return Response(json.dumps(envelope), error.status, error.headers, media_type="application/json")


def translate_error(error: BaseException) -> ApiError:
    """Return the API error for an exception. An internal one becomes a 500 that reveals nothing about it."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, asyncio.CancelledError):
        # The server is stopping, its time to finish requests is over, and no code awaits this task any more.
        return ApiError(503, "internal_error", "The server is stopping. Ask again.", headers=RETRY_AFTER)
    if isinstance(error, FrozenModelError):
        return ApiError(409, "model_not_draft", f"{error}.", {"state": error.state})
    if isinstance(error, SampleConflictError):
        return ApiError(422, "invalid_request", f"{error}.", {"field": "quality", "index": error.index})
    for kind, (status, code) in _ENGINE_ERRORS.items():
        if isinstance(error, kind):
            problems = [str(problem) for problem in getattr(error, "problems", ())]
            details = {"problems": problems} if problems else None
            return ApiError(status, code, str(error), details, RETRY_AFTER if status == 503 else None)
    return ApiError(500, "internal_error", UNKNOWN)


async def _refuse_path(request: Request, error: HTTPException) -> NoReturn:
    """Raise the routing error as an ``ApiError``; a 405 lists the methods of every route of the path."""
    if error.status_code == 404:
        message = "There is nothing at this path. The endpoints are listed in /v1/openapi.json."
        raise ApiError(404, "not_found", message, headers=error.headers)
    if error.status_code == 405:
        scopes = {method: {**request.scope, "method": method} for method in METHODS}
        allowed = ", ".join(
            method
            for method, scope in scopes.items()
            if any(route.matches(scope)[0] is Match.FULL for route in request.app.routes)
        )
        message = f"This path does not allow this method. It allows: {allowed or 'none'}."
        raise ApiError(405, "method_not_allowed", message, headers={**(error.headers or {}), "Allow": allowed})
    raise error


async def _refuse_parameters(request: Request, error: RequestValidationError) -> NoReturn:
    """Raise the 422 for path and query parameters, without their values, which may be long or secret."""
    problems = [
        {"in": str(item["loc"][0]), "field": str(item["loc"][-1]), "message": str(item["msg"])}
        for item in error.errors()
    ]
    message = "; ".join(f"{problem['field']}: {problem['message']}" for problem in problems)
    raise ApiError(422, "invalid_request", f"{message}.", {"problems": problems})


# FastAPI's handlers would answer in another format. The ``Envelope`` middleware answers the errors that these raise.
EXCEPTION_HANDLERS: dict[int | type[Exception], Callable[[Request, Any], Coroutine[Any, Any, Response]]] = {
    HTTPException: _refuse_path,
    RequestValidationError: _refuse_parameters,
}
