"""Route that starts a synthesis: check the request and the model, and enqueue one run."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import ConfigDict, Field

from engine.asking.seed_variations import check_seeds, find_seedless
from engine.definitions.effort import choose_effort
from engine.definitions.lifecycle import check_draft
from engine.definitions.loader import check_traits, load_model, load_outline
from engine.domain.model import Effort
from engine.listing.samples import walk_seeds
from engine.settings import Settings
from flows.api.enqueue import enqueue, refuse_awaited
from flows.api.refusals import OF_CHANGE, describe_answers
from flows.api.routes.body import Body, describe_body, read_body
from flows.api.routes.dependencies import find_changeable_model, get_orchestrator, get_settings
from flows.api.schemas import SynthesizeAnswer

router = APIRouter(tags=["Synthesis"])


class SynthesizeBody(Body):
    """Parameters of a synthesis; `{}` is enough."""

    model_config = ConfigDict(
        title="SynthesizeRequest",
        json_schema_extra={
            "examples": [{"synth_type": "from_traits", "effort": "low"}, {"synth_type": "diversify"}, {}]
        },
    )

    # `enrich` is internal to the engine: the HTTP API refuses it (the platform's contract, section 4).
    synth_type: Literal["from_traits", "diversify"] = Field(
        "from_traits",
        description="`from_traits` makes exemplars from what the traits mean; `diversify` varies the model's authored "
        "samples, each in its own voice.",
    )
    effort: Effort | None = Field(
        None,
        description="How many samples, by which synth model, with how much thinking. Null or left out: the model's own "
        "effort, else `high`.",
    )


@router.post(
    "/models/{handle}/samples/synthesize",
    status_code=202,
    responses=describe_answers(
        *OF_CHANGE,
        (422, "no_traits"),
        (422, "no_seed_samples"),
        (409, "already_running"),
        success=202,
        about="A run was enqueued.",
    ),
    openapi_extra=describe_body(SynthesizeBody),
    summary="Synthesize samples",
)
async def synthesize_samples(
    request: Request, handle: Annotated[str, Depends(find_changeable_model)]
) -> SynthesizeAnswer:
    """Enqueue a run that makes labelled samples for a draft model and attaches them if they pass the gate.

    The answer comes at once, before the run ends. During the run the model is `busy`, and `last_operation` of the
    model has its progress. Sending the same request again is safe: while the run is queued or running, the answer is
    409 with that run's id.
    """
    body = await read_body(request, SynthesizeBody)
    model_effort = await run_in_threadpool(check_model, get_settings(request), handle, body)
    effort, orchestrator = choose_effort(body.effort, model_effort), get_orchestrator(request)
    await refuse_awaited(orchestrator, get_settings(request).replies_place, handle, body.synth_type, effort)
    run = await enqueue(orchestrator, handle, body.synth_type, effort, model_effort)
    return SynthesizeAnswer(state="busy", run_id=run.run_id)


def check_model(settings: Settings, handle: str, body: SynthesizeBody) -> Effort | None:
    """Check that the model permits a synthesis, and return its effort. The run checks the sample lines.

    Raises:
        NoTraitsError, NoSeedsError, DefinitionError: the model's definition does not permit the request.
        FrozenModelError: the model is not a draft.
    """
    outline = load_outline(settings.models_uri, handle)
    check_traits(outline)
    seeds = (seed for *_, seed in walk_seeds(settings.models_uri, outline))
    if body.synth_type == "diversify" and find_seedless(outline.traits, seeds):
        check_seeds(load_model(settings.models_uri, handle))
    check_draft(settings.models_uri, handle, "Nothing was enqueued")
    return outline.effort
