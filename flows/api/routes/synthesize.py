"""Synthesis: the route that this project began with. A request becomes one run, or is told why not."""

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
from flows.api.openapi.document import BY_PREFECT, OF_MODEL, describe_answers, link
from flows.api.prefect_runs.enqueue import enqueue
from flows.api.routes.dependencies import Place, find_changeable_model, get_orchestrator, get_place
from flows.api.schemas import SynthesizeAnswer

router = APIRouter(tags=["Synthesis"])

# `enrich` is engine-internal: the surface refuses it (the platform's contract, section 4).
HOSTED_TYPES: tuple[SynthType, ...] = ("from_traits", "diversify")
READ_FIELDS = ("synth_type", "effort")
BODY = {
    "required": True,
    "description": "What to synthesize. Fields that are not named here are ignored.",
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
class Asked:
    """What the body of a request asks for."""

    synth_type: SynthType = "from_traits"
    effort: Effort | None = None


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
    asked = parse_body(await request.body(), request.headers.get("content-type"))
    own = await run_in_threadpool(check_model, get_place(request), handle, asked)
    run = await enqueue(get_orchestrator(request), handle, asked.synth_type, choose_effort(asked.effort, own), own)
    return SynthesizeAnswer(state="busy", run_id=run.run_id)


def check_model(place: Place, handle: str, asked: Asked) -> Effort | None:
    """Whether the model can be synthesized for; its own effort. A line of samples that is wrong is the run's to find.

    Raises:
        NoTraitsError, NoSeedsError, DefinitionError: its definition does not permit what is asked for.
        ApiError: 409, it is no draft.
    """
    outline = load_outline(place.models_uri, handle)
    check_traits(outline)
    if asked.synth_type == "diversify" and not has_seeds(outline.traits, walk_seeds(place.models_uri, outline)):
        check_seeds(load_model(place.models_uri, handle))
    lifecycle = read_lifecycle(place.models_uri, handle)
    if not lifecycle.takes_samples:
        said = (
            f"{handle} is {lifecycle.state}, and samples may be added only while a model is a draft. A trained model's "
            "samples are frozen."
        )
        raise ApiError(409, "model_not_draft", said, {"state": lifecycle.state})
    return outline.effort


def parse_body(body: bytes, content_type: str | None) -> Asked:
    """What a body asks for.

    Raises:
        ApiError: 400 for what is not JSON, 422 for JSON that is no such request.
    """
    value = _parse_json(body)
    if not _is_json(content_type):
        raise _refuse(f"The content type {content_type!r} is not taken; send application/json.", "content-type")
    if not isinstance(value, _Object):
        raise _refuse("The body must be a JSON object.", "body")
    twice = [name for name in READ_FIELDS if value.names.count(name) > 1]
    if twice:
        raise _refuse(f"The body has {twice[0]} twice; which of them is meant?", twice[0])
    return Asked(_read_synth_type(value.fields), _read_effort(value.fields))


@dataclass(frozen=True, slots=True)
class _Object:
    """A JSON object that tells whether a name stands in it twice."""

    fields: dict[str, Any]
    names: Sequence[str]


def _parse_json(body: bytes) -> object:
    """The value; a number may have any size, since it can only stand where nobody looks."""
    if not body.strip():
        raise ApiError(400, "invalid_json", "There is no body; send a JSON object, be it {}.")
    try:
        return json.loads(
            body.decode("utf-8-sig"),
            object_pairs_hook=lambda pairs: _Object(dict(pairs), [name for name, _ in pairs]),
            parse_constant=_refuse_constant,
            parse_int=float,
        )
    except RecursionError:
        raise ApiError(400, "invalid_json", "The body is nested too deep.") from None
    except UnicodeDecodeError:
        raise ApiError(400, "invalid_json", "The body is not UTF-8, which JSON is written in.") from None
    except ValueError as error:
        raise ApiError(400, "invalid_json", f"The body is not JSON: {error}.") from None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def _is_json(content_type: str | None) -> bool:
    """Whether a content type, which may be left out, is ``application/json`` or a kind of it (RFC 6839)."""
    if content_type is None:
        return True
    kind = content_type.partition(";")[0].strip().lower()
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))


def _read_synth_type(fields: dict[str, Any]) -> SynthType:
    value = fields.get("synth_type", "from_traits")
    for name in HOSTED_TYPES:
        if value == name:
            return name
    allowed = " and ".join(HOSTED_TYPES)
    if value == "enrich":
        raise _refuse(f"enrich is not to be had over HTTP, it is internal. There are: {allowed}.", "synth_type")
    raise _refuse(f"synth_type is {_show(value)}. There are: {allowed}.", "synth_type")


def _read_effort(fields: dict[str, Any]) -> Effort | None:
    value = fields.get("effort")
    if value is None:
        return None
    for name in get_args(Effort):
        if value == name:
            effort: Effort = name
            return effort
    raise _refuse(f"effort is {_show(value)}. There are: {', '.join(EFFORTS)}; null is the default.", "effort")


def _show(value: object) -> str:
    """A value of the wrong kind, in few characters."""
    if isinstance(value, str):
        return repr(value[:60])
    kinds = {bool: "true or false", float: "a number", list: "a list", _Object: "an object", type(None): "null"}
    return kinds.get(type(value), type(value).__name__)


def _refuse(message: str, field: str) -> ApiError:
    return ApiError(422, "invalid_request", message, {"field": field})
