"""The route that starts a synthesis: checks the request and the model, and enqueues one run."""

from dataclasses import dataclass
from typing import Annotated, Any, get_args

from fastapi import APIRouter, Depends, Request
from fastapi.concurrency import run_in_threadpool

from engine.asking.seed_variations import check_seeds, has_seeds
from engine.definitions.effort import choose_effort
from engine.definitions.loader import check_traits, load_model, load_outline
from engine.domain.model import EFFORTS, Effort, SynthType
from engine.listing.authored import walk_seeds
from flows.api.ignored_fields import note_ignored
from flows.api.openapi.document import BY_PREFECT, OF_MODEL, describe_answers, link
from flows.api.prefect_runs.enqueue import enqueue
from flows.api.routes.dependencies import Storage, check_draft, find_changeable_model, get_orchestrator, get_storage
from flows.api.routes.json_body import check_once, describe_value, parse_object, refuse_field
from flows.api.schemas import SynthesizeAnswer

router = APIRouter(tags=["Synthesis"])

# `enrich` is engine-internal: the surface refuses it (the platform's contract, section 4).
HOSTED_TYPES: tuple[SynthType, ...] = ("from_traits", "diversify")
READ_FIELDS = ("synth_type", "effort")
BODY = {
    "required": True,
    "description": "Fields that are not named here are ignored, and the answer's `X-Ignored-Fields` names them. The "
    "body says what to synthesize; `{}` is enough.",
    "content": {
        "application/json": {
            "schema": {
                "title": "SynthesizeRequest",
                "type": "object",
                "properties": {
                    "synth_type": {
                        "type": "string",
                        "enum": list(HOSTED_TYPES),
                        "default": "from_traits",
                        "description": "`from_traits` makes exemplars from what the traits mean; `diversify` varies "
                        "the model's authored samples, each in its own voice.",
                    },
                    "effort": {
                        "anyOf": [{"type": "string", "enum": list(EFFORTS)}, {"type": "null"}],
                        "description": "How many samples, by which synth model, with how much thinking. Null or left "
                        "out: the model's own effort, else `high`.",
                    },
                },
            },
            "examples": {
                "from_traits": {
                    "summary": "Exemplars from what the traits mean, few and cheap.",
                    "value": {"synth_type": "from_traits", "effort": "low"},
                },
                "diversify": {
                    "summary": "Variations of the authored samples, at the model's own effort.",
                    "value": {"synth_type": "diversify"},
                },
                "defaults": {"summary": "The same as `from_traits` at the model's own effort.", "value": {}},
            },
        }
    },
}


@dataclass(frozen=True, slots=True)
class SynthesisRequest:
    """The parsed body of a request; ``ignored`` are the names of fields that nobody reads."""

    synth_type: SynthType = "from_traits"
    effort: Effort | None = None
    ignored: tuple[str, ...] = ()


@router.post(
    "/models/{handle}/samples/synthesize",
    status_code=202,
    responses=describe_answers(
        SynthesizeAnswer,
        *OF_MODEL,
        (403, "forbidden"),
        (422, "invalid_request"),
        (422, "no_traits"),
        (422, "no_seed_samples"),
        (409, "already_running"),
        (409, "model_busy"),
        (409, "model_not_draft"),
        *BY_PREFECT,
        success=202,
        links={"model": link("read_model", "The model, which tells how the run goes.", handle="$request.path.handle")},
    ),
    openapi_extra={"requestBody": BODY},
    summary="Synthesize samples",
)
async def synthesize_samples(
    request: Request, handle: Annotated[str, Depends(find_changeable_model)]
) -> SynthesizeAnswer:
    """Enqueues a run that makes labelled samples for a draft model and attaches them, if they pass the gate.

    The answer comes at once; the run works on behind it. While it does the model is `busy`, and `last_operation` of
    the model tells how far it is. Sending the same request again is safe: while the run is queued or running, it is
    answered with 409 and that run's id.
    """
    wanted = parse_body(await request.body(), request.headers.get("content-type"))
    note_ignored(request.scope, wanted.ignored)
    own = await run_in_threadpool(check_model, get_storage(request), handle, wanted)
    run = await enqueue(get_orchestrator(request), handle, wanted.synth_type, choose_effort(wanted.effort, own), own)
    return SynthesizeAnswer(state="busy", run_id=run.run_id)


def check_model(storage: Storage, handle: str, wanted: SynthesisRequest) -> Effort | None:
    """Checks that the model can be synthesized for, and returns its own effort. Wrong sample lines are left to the run.

    Raises:
        NoTraitsError, NoSeedsError, DefinitionError: the model's definition does not permit the request.
        ApiError: 409, the model is not a draft.
    """
    outline = load_outline(storage.models_uri, handle)
    check_traits(outline)
    if wanted.synth_type == "diversify" and not has_seeds(outline.traits, walk_seeds(storage.models_uri, outline)):
        check_seeds(load_model(storage.models_uri, handle))
    check_draft(storage.models_uri, handle)
    return outline.effort


def parse_body(body: bytes, content_type: str | None) -> SynthesisRequest:
    """Parses the body of a request.

    Raises:
        ApiError: 400 if it is not JSON, 422 if it is JSON but not a valid request.
    """
    value = parse_object(body, content_type, "Send a JSON object; {} is enough")
    check_once("The body", value, READ_FIELDS)
    ignored = tuple(name for name in value.fields if name not in READ_FIELDS)
    return SynthesisRequest(_read_synth_type(value.fields), _read_effort(value.fields), ignored)


def _read_synth_type(fields: dict[str, Any]) -> SynthType:
    value = fields.get("synth_type", "from_traits")
    for name in HOSTED_TYPES:
        if value == name:
            return name
    allowed = " or ".join(HOSTED_TYPES)
    if value == "enrich":
        raise refuse_field(f"enrich is internal and not available over HTTP. Use {allowed}.", "synth_type")
    raise refuse_field(f"synth_type is {describe_value(value)}. Use {allowed}.", "synth_type")


def _read_effort(fields: dict[str, Any]) -> Effort | None:
    value = fields.get("effort")
    if value is None:
        return None
    for name in get_args(Effort):
        if value == name:
            effort: Effort = name
            return effort
    raise refuse_field(
        f"effort is {describe_value(value)}. Use one of {', '.join(EFFORTS)}, or null for the default.", "effort"
    )
