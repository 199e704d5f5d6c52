"""Table of refusals for the OpenAPI document: when each status and code is answered."""

from collections.abc import Mapping
from typing import Any

from flows.api.errors import IGNORED, REQUEST_ID, RUN_ID, Code
from flows.api.schemas import ErrorEnvelope

# Pair of a status and a code.
Refused = tuple[int, Code]

REFUSALS: Mapping[Refused, str] = {
    (400, "invalid_request"): "the host is not served here, or the body has two lengths",
    (400, "invalid_json"): "the body is missing or not JSON",
    (401, "unauthorized"): "there is no key, or it is not valid",
    (403, "forbidden"): "the key's scope does not permit it, or the key does not own the namespace",
    (404, "not_found"): "there is nothing at this path, or a slash in it is encoded",
    (404, "model_not_found"): "there is no such model, or the key may not read it",
    (404, "trait_not_found"): "the model has no trait of this key or name",
    (404, "sample_not_found"): "the model has no sample of this id",
    (405, "method_not_allowed"): "the path allows other methods, which the header `Allow` names",
    (
        409,
        "already_running",
    ): f"the same synthesis is queued, runs or waits for a batch; `{RUN_ID}` and `details` name it",
    (409, "model_busy"): f"another run works on the model; `{RUN_ID}` and `details` have its run id. Where samples are "
    "changed also that another request changes them, which no run id tells",
    (409, "model_not_draft"): "the model is `ready` or `archived`, so its samples are frozen",
    (409, "sample_authored"): "the sample stands in a file that an author wrote, which the message names",
    (413, "body_too_large"): "the body is over 64 KiB, or over 8 MiB where samples are added",
    (422, "invalid_handle"): "the handle is malformed",
    (422, "invalid_request"): "a parameter, a field or the content type is not accepted, or the model's own definition "
    "has mistakes; `details` have the `index` of a sample that is refused",
    (422, "no_traits"): "the model has no trait definitions to synthesize from",
    (422, "no_seed_samples"): "`diversify` is asked for and the model, or a pole of a trait, has no authored samples "
    "to vary",
    (500, "internal_error"): "something went wrong on this side",
    (503, "orchestrator_unavailable"): "Prefect's server does not answer; nothing was enqueued or changed unless the "
    "message says otherwise",
    (503, "internal_error"): "the server is stopping",
}
# Refusals of every operation, even with a valid path and key.
ALWAYS: tuple[Refused, ...] = (
    (400, "invalid_request"),
    (400, "invalid_json"),
    (413, "body_too_large"),
    (500, "internal_error"),
    (503, "internal_error"),
)
# Refusals of every operation with a handle in its path.
OF_MODEL: tuple[Refused, ...] = ((404, "not_found"), (404, "model_not_found"), (422, "invalid_handle"))
BY_PREFECT: tuple[Refused, ...] = ((503, "orchestrator_unavailable"),)
# Refusals of every operation that changes a model's samples.
OF_CHANGE: tuple[Refused, ...] = (
    *OF_MODEL,
    (403, "forbidden"),
    (422, "invalid_request"),
    (409, "model_busy"),
    (409, "model_not_draft"),
    *BY_PREFECT,
)

_TEXT: Mapping[str, Any] = {"type": "string"}
_ON_EVERY_ANSWER: Mapping[str, Any] = {
    REQUEST_ID: {
        "description": f"The id of this request, the same as in the log: the request's own `{REQUEST_ID}` where it "
        "brought one of 1 to 64 letters, digits, `.`, `_` and `-`, else a new one.",
        "required": True,
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"},
    },
    IGNORED: {
        "description": "The fields of the body and the query parameters that this request brought and nobody read: at "
        "most ten names, percent-encoded, with commas between; absent where there are none.",
        "schema": _TEXT,
    },
}
_ON_STATUS: Mapping[int, Mapping[str, Any]] = {
    401: {"WWW-Authenticate": {"description": "How a key is sent.", "required": True, "schema": _TEXT}},
    409: {
        RUN_ID: {
            "description": "The run that is the reason; absent where none is, as with `model_not_draft`.",
            "schema": {"type": "string", "format": "uuid"},
        }
    },
    503: {
        "Retry-After": {
            "description": "Seconds after which to ask again.",
            "required": True,
            "schema": {"type": "integer", "minimum": 1},
        }
    },
}


def describe_answers(
    *refused: Refused,
    success: int = 200,
    about: str = "What was asked for.",
    media_type: str = "",
    is_open: bool = False,
) -> dict[int | str, dict[str, Any]]:
    """Return the ``responses`` of a route: its success, its own refusals, and the refusals of every route.

    Args:
        refused: the route's own refusals.
        about: the description of the success.
        media_type: another media type of the success; FastAPI itself describes the JSON of the route's answer.
        is_open: whether the route needs no key.
    """
    possible = {*ALWAYS, *refused, *(() if is_open else [(401, "unauthorized")])}
    described: dict[int | str, dict[str, Any]] = {success: {"description": about, "headers": {**_ON_EVERY_ANSWER}}}
    if media_type:
        described[success]["content"] = {media_type: {"schema": {"type": "string"}}}
    for status in sorted({status for status, _ in possible}):
        whens = {code: when for (of, code), when in REFUSALS.items() if of == status and (of, code) in possible}
        codes = {"properties": {"error": {"properties": {"code": {"enum": [*whens]}}}}}
        described[status] = {
            "model": ErrorEnvelope,
            "description": "; ".join(f"`{code}`: {when}" for code, when in whens.items()) + ".",
            "headers": {**_ON_EVERY_ANSWER, **_ON_STATUS.get(status, {})},
            "content": {"application/json": {"schema": codes}},
        }
    return described


def list_refusals() -> str:
    """Return all refusals as a markdown list."""
    return "\n".join(f"- {status} `{code}`: {when}" for (status, code), when in REFUSALS.items())
