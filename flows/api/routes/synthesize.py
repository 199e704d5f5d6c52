"""The route that starts a synthesis: checks the request and the model, and enqueues one run."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, get_args

from fastapi import APIRouter, Depends, Request
from fastapi.concurrency import run_in_threadpool

from engine.definitions.effort import choose_effort
from engine.definitions.lifecycle import read_lifecycle
from engine.definitions.loader import check_traits, load_model, load_outline
from engine.domain.model import EFFORTS, Effort, SynthType
from engine.listing.authored import walk_seeds
from engine.planning.seed_variations import check_seeds, has_seeds
from flows.api.errors import ApiError
from flows.api.ignored_fields import note_ignored
from flows.api.openapi.document import BY_PREFECT, OF_MODEL, describe_answers, link
from flows.api.prefect_runs.enqueue import enqueue
from flows.api.routes.dependencies import Storage, find_changeable_model, get_orchestrator, get_storage
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
    lifecycle = read_lifecycle(storage.models_uri, handle)
    if not lifecycle.takes_samples:
        said = (
            f"{handle} is {lifecycle.state}, and samples may be added only while a model is a draft. A trained model's "
            "samples are frozen."
        )
        raise ApiError(409, "model_not_draft", said, {"state": lifecycle.state})
    return outline.effort


def parse_body(body: bytes, content_type: str | None) -> SynthesisRequest:
    """Parses the body of a request.

    Raises:
        ApiError: 400 if it is not JSON, 422 if it is JSON but not a valid request.
    """
    value = _parse_json(body)
    if not _is_json(content_type):
        raise _refuse(f"The content type {content_type!r} is not accepted. Send application/json.", "content-type")
    if not isinstance(value, _Object):
        raise _refuse("The body must be a JSON object.", "body")
    twice = [name for name in READ_FIELDS if value.names.count(name) > 1]
    if twice:
        raise _refuse(f"The body has {twice[0]} twice. Send it once.", twice[0])
    ignored = tuple(name for name in value.fields if name not in READ_FIELDS)
    return SynthesisRequest(_read_synth_type(value.fields), _read_effort(value.fields), ignored)


@dataclass(frozen=True, slots=True)
class _Object:
    """A JSON object that also has its names in order, so that repeated names can be found."""

    fields: dict[str, Any]
    names: Sequence[str]


def _parse_json(body: bytes) -> object:
    """The JSON value. Numbers become floats, so that one of any length is accepted; no field that is read has one."""
    if not body.strip():
        raise ApiError(400, "invalid_json", "There is no body. Send a JSON object; {} is enough.")
    try:
        return json.loads(
            body.decode("utf-8-sig"),
            object_pairs_hook=lambda pairs: _Object(dict(pairs), [name for name, _ in pairs]),
            parse_constant=_refuse_constant,
            parse_int=float,
        )
    except RecursionError:
        raise ApiError(400, "invalid_json", "The body is nested too deeply.") from None
    except UnicodeDecodeError:
        raise ApiError(400, "invalid_json", "The body is not UTF-8, which JSON is written in.") from None
    except ValueError as error:
        raise ApiError(400, "invalid_json", f"The body is not JSON: {error}.") from None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _is_json(content_type: str | None) -> bool:
    """Whether a content type is ``application/json`` or a kind of it (RFC 6839); a missing one counts as JSON."""
    if content_type is None:
        return True
    kind = content_type.partition(";")[0].strip().lower()
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))


def _read_synth_type(fields: dict[str, Any]) -> SynthType:
    value = fields.get("synth_type", "from_traits")
    for name in HOSTED_TYPES:
        if value == name:
            return name
    allowed = " or ".join(HOSTED_TYPES)
    if value == "enrich":
        raise _refuse(f"enrich is internal and not available over HTTP. Use {allowed}.", "synth_type")
    raise _refuse(f"synth_type is {_show(value)}. Use {allowed}.", "synth_type")


def _read_effort(fields: dict[str, Any]) -> Effort | None:
    value = fields.get("effort")
    if value is None:
        return None
    for name in get_args(Effort):
        if value == name:
            effort: Effort = name
            return effort
    raise _refuse(f"effort is {_show(value)}. Use one of {', '.join(EFFORTS)}, or null for the default.", "effort")


def _show(value: object) -> str:
    """A value of the wrong type, described briefly."""
    if isinstance(value, str):
        return repr(value[:60])
    kinds = {bool: "true or false", float: "a number", list: "a list", _Object: "an object", type(None): "null"}
    return kinds.get(type(value), type(value).__name__)


def _refuse(message: str, field: str) -> ApiError:
    return ApiError(422, "invalid_request", message, {"field": field})
