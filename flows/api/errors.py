"""The HTTP API's error type and its JSON envelope, which every response that is not 2xx has."""

import json
from collections.abc import Mapping
from typing import Literal

from starlette.responses import Response

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

REQUEST_ID = "X-Request-Id"
RUN_ID = "X-Run-Id"


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
    """The response for an error. It is pure ASCII, since an echoed value may contain half a surrogate pair."""
    envelope = {
        "error": {"code": error.code, "message": error.message, "request_id": request_id, "details": error.details}
    }
    headers = {**error.headers, REQUEST_ID: request_id}
    return Response(json.dumps(envelope), error.status, headers, media_type="application/json")
