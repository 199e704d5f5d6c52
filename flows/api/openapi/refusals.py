"""The table of refusals: each status and code with when it is answered and an example, for the OpenAPI document."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from flows.api.errors import RUN_ID, Code
from flows.api.schemas import HANDLE_EXAMPLE, RUN_ID_EXAMPLE, ErrorBody, ErrorEnvelope

REQUEST_EXAMPLE = "5f0c6e0e8f5b4a7f9d0f3b1c2a4e6d80"

# A status with one of its codes.
Refused = tuple[int, Code]


@dataclass(frozen=True, slots=True)
class Refusal:
    """When a refusal is answered (``when``, a clause), and an example of its ``message`` and ``details``."""

    when: str
    message: str
    details: Mapping[str, object] = field(default_factory=dict)


_RUN = {"run_id": RUN_ID_EXAMPLE, "synth_type": "from_traits", "effort": "low", "status": "running"}
_HANDLE = {"handle": HANDLE_EXAMPLE}

REFUSALS: Mapping[Refused, Refusal] = {
    (400, "invalid_request"): Refusal(
        "the request cannot be read: its host is not served here, or it has too many headers",
        "The host 'example.org' is not served here. EXEMPLARS_API_ALLOWED_HOSTS can allow it.",
    ),
    (400, "invalid_json"): Refusal(
        "the body is missing or not JSON, or it did not arrive in time",
        "The body is not JSON: Expecting value: line 1 column 1 (char 0).",
    ),
    (401, "unauthorized"): Refusal(
        "there is no key, or it is not valid", "A key is needed, as 'Authorization: Bearer <key>'."
    ),
    (403, "forbidden"): Refusal(
        "the key's scope does not permit it, or the key does not own the namespace",
        "This key does not own the namespace u22a8.",
        {"namespace": "u22a8"},
    ),
    (404, "not_found"): Refusal(
        "there is nothing at this path, or a slash in it is encoded",
        "There is nothing at this path. The endpoints are listed in /v1/openapi.json.",
    ),
    (404, "model_not_found"): Refusal(
        "there is no such model, or the key may not read it", f"There is no model {HANDLE_EXAMPLE}.", _HANDLE
    ),
    (404, "trait_not_found"): Refusal(
        "the model has no trait of this key or name",
        f"{HANDLE_EXAMPLE} has no such trait. It has: clarity, actionability.",
        {"trait": "warmth", "traits": ["clarity", "actionability"]},
    ),
    (404, "sample_not_found"): Refusal(
        "the model has no sample of this id", f"{HANDLE_EXAMPLE} has no such sample.", {"sample_id": 8028196843172301}
    ),
    (405, "method_not_allowed"): Refusal(
        "the path allows other methods, which the header `Allow` names",
        "This path does not allow this method. It allows: GET.",
    ),
    (409, "already_running"): Refusal(
        f"the same synthesis is queued or running; `{RUN_ID}` and `details` have its run id",
        f"The same synthesis of {HANDLE_EXAMPLE} is running already, as run {RUN_ID_EXAMPLE}.",
        _RUN,
    ),
    (409, "model_busy"): Refusal(
        f"another run works on the model; `{RUN_ID}` and `details` have its run id. Where samples are changed also "
        "that another request changes them, which no run id tells",
        f"{HANDLE_EXAMPLE} is busy with run {RUN_ID_EXAMPLE} (from_traits, effort low), which is running. "
        "Ask again when it has ended.",
        _RUN,
    ),
    (409, "model_not_draft"): Refusal(
        "the model is `ready` or `archived`, so its samples are frozen",
        f"{HANDLE_EXAMPLE} is ready, and samples may be added only while a model is a draft. A trained model's samples "
        "are frozen.",
        {"state": "ready"},
    ),
    (409, "sample_authored"): Refusal(
        "the sample stands in a file that an author wrote, which the message names",
        "Sample 8028196843172301 stands in samples.jsonl:3, which its author wrote. Take it out there.",
        {"sample_id": 8028196843172301},
    ),
    (413, "body_too_large"): Refusal(
        "the body is over 64 KiB, or over 8 MiB where samples are added",
        "The body is over 65536 bytes.",
        {"limit_bytes": 65536},
    ),
    (422, "invalid_handle"): Refusal(
        "the handle is malformed",
        "'Technical Writing' is not a handle. A handle is <namespace>.<name>, each side lower-case letters, digits and "
        f"'-', starting with a letter or digit, 200 characters at most: {HANDLE_EXAMPLE}.",
        {"handle": "Technical Writing"},
    ),
    (422, "invalid_request"): Refusal(
        "a parameter, a field or the content type is not accepted, or the model's own definition has mistakes; "
        "`details` have the `index` of a sample that is refused",
        "limit: Input should be greater than or equal to 1.",
        {"problems": [{"in": "query", "field": "limit", "message": "Input should be greater than or equal to 1"}]},
    ),
    (422, "no_traits"): Refusal(
        "the model has no trait definitions to synthesize from",
        f"{HANDLE_EXAMPLE}/model.yaml: traits is 'discover', so there are no trait definitions to synthesize from. "
        "Write the traits as a list, each with type, key and description",
    ),
    (422, "no_seed_samples"): Refusal(
        "`diversify` is asked for and the model, or a pole of a trait, has no authored samples to vary",
        f"{HANDLE_EXAMPLE} has no authored samples to vary. Name a source of them in its model.yaml, or ask for "
        "'from_traits', which needs none",
    ),
    (500, "internal_error"): Refusal(
        "something went wrong on this side", "Something went wrong on our side. The log has it under this request id."
    ),
    (503, "orchestrator_unavailable"): Refusal(
        "Prefect's server does not answer; nothing was enqueued or changed unless the message says otherwise",
        "Prefect's server does not answer. Nothing was enqueued; ask again later",
    ),
    (503, "internal_error"): Refusal("the server is stopping", "The server is stopping. Ask again."),
}


def make_example(refused: Refused) -> dict[str, object]:
    """The whole JSON body of a refusal, as a client may see it."""
    status, code = refused
    refusal = REFUSALS[status, code]
    error = ErrorBody(code=code, message=refusal.message, request_id=REQUEST_EXAMPLE, details=dict(refusal.details))
    return ErrorEnvelope(error=error).model_dump(mode="json")


def list_refusals() -> str:
    """All refusals as a markdown list."""
    return "\n".join(f"- {status} `{code}`: {refusal.when}" for (status, code), refusal in REFUSALS.items())
