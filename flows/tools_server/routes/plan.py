"""The operation that tells what a synthesis would do and cost; it takes and refuses what the door's synthesis does."""

from collections.abc import Callable
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Depends, Request
from fastapi.concurrency import run_in_threadpool

from engine.errors import DefinitionError, InputError, NoSeedsError, NoTraitsError, ProviderError
from engine.estimate.estimate import Amount
from engine.estimate.preview import Preview
from engine.estimate.wording import explain_estimate, format_estimate
from engine.settings import Settings
from engine.system.importing import importing
from flows.api.errors import ApiError
from flows.api.ignored_fields import note_ignored
from flows.api.openapi.document import OF_MODEL, describe_answers
from flows.api.routes.dependencies import find_own_model, get_storage
from flows.api.routes.model_status import hide_folders
from flows.api.routes.synthesize import BODY, check_model, parse_body
from flows.tools_server.answers import PlanAnswer, Quota, Spread

router = APIRouter()
USD_DIGITS = 6
KEPT = "Replies that are kept from an earlier start of the same plan are neither asked for nor paid again."


@router.post(
    "/models/{handle}/plan",
    responses=describe_answers(
        PlanAnswer,
        *OF_MODEL,
        (403, "forbidden"),
        (422, "invalid_request"),
        (422, "no_traits"),
        (422, "no_seed_samples"),
        (409, "model_not_draft"),
    ),
    openapi_extra={"requestBody": BODY},
)
async def plan_synthesis(request: Request, handle: Annotated[str, Depends(find_own_model)]) -> PlanAnswer:
    """What a synthesis would do and cost, for a key that owns the namespace. Asks no model and writes nothing."""
    wanted = parse_body(await request.body(), request.headers.get("content-type"))
    note_ignored(request.scope, wanted.ignored)
    await run_in_threadpool(check_model, get_storage(request), handle, wanted)
    settings = request.app.state.settings
    assert isinstance(settings, Settings)
    # It writes nothing, so a caller who has gone is not waited for.
    return await to_thread.run_sync(_plan, settings, handle, wanted.synth_type, wanted.effort, abandon_on_cancel=True)


def _plan(settings: Settings, handle: str, synth_type: str, effort: str | None) -> PlanAnswer:
    # Imported late: with it come the sentence encoder and all of the engine.
    with importing():
        from flows.cli.runs.plan import make_preview

    try:
        preview = make_preview(settings, handle, synth_type, effort)
    except (DefinitionError, NoTraitsError, NoSeedsError):
        raise
    except (InputError, ProviderError) as error:
        # What the door leaves to the run, which would fail at once: such as a model that is not there.
        raise ApiError(422, "invalid_request", f"{hide_folders(str(error))}.") from error
    return _make_answer(preview)


def _make_answer(preview: Preview) -> PlanAnswer:
    plan, estimate = preview.plan, preview.estimate
    return PlanAnswer(
        handle=plan.model.handle,
        synth_type=plan.synth_type,
        effort=plan.level.effort,
        synth_model=preview.endpoint.name,
        quotas=[
            Quota(trait=quota.trait, type=quota.type, pole=quota.pole, label=quota.label, wanted=quota.wanted)
            for quota in preview.quotas
        ],
        calls=_spread(preview, lambda amount: amount.calls),
        tokens_in=_spread(preview, lambda amount: amount.tokens_in),
        tokens_out=_spread(preview, lambda amount: amount.tokens_out),
        cost_usd=_spread(
            preview, lambda amount: None if amount.cost_usd is None else round(amount.cost_usd, USD_DIGITS)
        ),
        max_cost_usd=estimate.limit_usd,
        summary=f"{format_estimate(estimate)}.",
        remarks=[*explain_estimate(estimate), KEPT, *preview.notes],
        refused=preview.refused or None,
        skipped=[f"{skipped.what}: {skipped.why}" for skipped in plan.model.skipped],
    )


def _spread(preview: Preview, read: Callable[[Amount], float | None]) -> Spread:
    total = preview.estimate.total
    return Spread(likely=read(total.likely), most=read(total.most))
