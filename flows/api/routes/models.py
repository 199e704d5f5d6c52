"""Routes that read models, their traits, cards and samples, and the report of a run."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic.json_schema import SkipJsonSchema

from engine.definitions.loader import list_handles, load_outline
from engine.definitions.outline import Outline
from engine.domain.model import State
from engine.errors import DefinitionError
from engine.listing.samples import (
    FIRST,
    SampleCount,
    count_samples,
    list_samples,
    render_model_card,
)
from engine.settings import Settings
from engine.store.layout import REPORT
from engine.store.store import find_set
from engine.system.filesystem import OutsideFolderError, read_inside
from flows.api.errors import ApiError
from flows.api.keys import Key
from flows.api.refusals import BY_PREFECT, OF_MODEL, describe_answers
from flows.api.routes.dependencies import (
    Cursor,
    find_model,
    find_own_model,
    get_key,
    get_orchestrator,
    get_settings,
    index_traits,
    read_cursor,
    write_cursor,
)
from flows.api.routes.model_status import describe_models
from flows.api.schemas import RUN_ID_EXAMPLE, ModelAnswer, ModelPage, SampleAnswer, SamplePage, TraitAnswer, TraitList

router = APIRouter(tags=["Reading"])
MAX_MODELS, DEFAULT_MODELS = 250, 50
MAX_SAMPLES, DEFAULT_SAMPLES = 500, 100
# The page contains its style and script, and loads nothing from elsewhere.
REPORT_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "sandbox allow-scripts; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
}
Handle = Annotated[str, Depends(find_model)]
MARKDOWN, HTML = "text/markdown", "text/html"


@router.get(
    "/models",
    responses=describe_answers((422, "invalid_request"), *BY_PREFECT, about="The models of a page."),
    summary="List models",
)
async def list_models(
    request: Request,
    namespace: Annotated[
        str,
        Query(
            description="The namespace to list, `u22a8` when not given. One that the key may not read has no models.",
            examples=["u22a8", "live"],
        ),
    ] = "u22a8",
    state: Annotated[State | SkipJsonSchema[None], Query(description="Models in this state only.")] = None,
    kind: Annotated[
        Literal["scoring"] | SkipJsonSchema[None],
        Query(description="Models of this kind only, which all are."),
    ] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_MODELS, description="Models on a page, at most.")] = DEFAULT_MODELS,
    cursor: Cursor = None,
) -> ModelPage:
    """List the models of one namespace that the key may read, in the order of their handles.

    With `state` a page may hold fewer than `limit` models, or none, and still have a next page.
    """
    listing = ("models", namespace, state or "")
    [after] = read_cursor(listing, cursor) if cursor is not None else [""]
    handles = (
        await run_in_threadpool(list_handles, get_settings(request).models_uri, namespace)
        if get_key(request).may_read(namespace)
        else []
    )
    remaining = sorted(handle for handle in handles if handle > after)
    described = await describe_models(get_orchestrator(request), get_settings(request), remaining[:limit])
    next_cursor = write_cursor(listing, [remaining[limit - 1]]) if len(remaining) > limit else None
    shown = [model for model in described if state in (None, model.state)]
    return ModelPage(items=shown, next_cursor=next_cursor, limit=limit)


@router.get(
    "/models/{handle}",
    response_model=ModelAnswer,
    responses=describe_answers(
        *OF_MODEL, (422, "invalid_request"), *BY_PREFECT, about="The model, or its card.", media_type=MARKDOWN
    ),
    summary="Read a model",
)
async def read_model(
    request: Request,
    response: Response,
    handle: Handle,
    # OpenAPI forbids a parameter named Accept; the response's media types describe it instead.
    accept: Annotated[str, Header(include_in_schema=False)] = "*/*",
) -> ModelAnswer | Response:
    """Read a model with its state and its last operation; with `Accept: text/markdown`, its card, without a state.

    Follow a run here: `last_operation` has its status and its progress.
    """
    settings = get_settings(request)
    response.headers["Vary"] = "Accept"
    if prefers_markdown(accept):
        card_content = await run_in_threadpool(count_model, settings, handle, get_key(request))
        return Response(render_model_card(*card_content), media_type=MARKDOWN, headers={"Vary": "Accept"})
    [model] = await describe_models(get_orchestrator(request), settings, [handle])
    return model


@router.get(
    "/models/{handle}/traits",
    responses=describe_answers(*OF_MODEL, (422, "invalid_request"), about="All traits: there are no pages."),
    summary="List traits",
)
def list_traits(request: Request, handle: Handle) -> TraitList:
    """List the traits of a model, each with its poles and the counts of its samples, authored and synthesized."""
    outline, counts = count_model(get_settings(request), handle, get_key(request))
    return TraitList(
        traits=[
            TraitAnswer(
                key=trait.key,
                name=trait.name,
                description=trait.description,
                positive_label=trait.positive_label,
                negative_label=trait.negative_label,
                **asdict(counts[trait.key]),
            )
            for trait in outline.traits
        ]
    )


@router.get(
    "/models/{handle}/samples",
    operation_id="list_samples",
    responses=describe_answers(
        *OF_MODEL,
        (403, "forbidden"),
        (404, "trait_not_found"),
        (422, "invalid_request"),
        about="The samples of a page.",
    ),
    summary="List samples",
)
def list_model_samples(
    request: Request,
    handle: Annotated[str, Depends(find_own_model)],
    trait: Annotated[
        str | SkipJsonSchema[None],
        Query(description="Samples of this trait only, by its key or its name.", examples=["clarity"]),
    ] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_SAMPLES, description="Samples on a page, at most.")] = DEFAULT_SAMPLES,
    cursor: Cursor = None,
) -> SamplePage:
    """List the samples of a model, page by page, for a key that owns its namespace.

    Authored samples come first, then the samples of each run in the order of attachment. A run that ends between two
    pages moves nothing: every sample is listed once.
    """
    settings = get_settings(request)
    outline = load_outline(settings.models_uri, handle)
    key = None if trait is None else index_traits(outline).get(trait)
    if trait is not None and key is None:
        keys = [each.key for each in outline.traits]
        message = f"{handle} has no such trait. It has: {', '.join(keys) or 'none'}."
        raise ApiError(404, "trait_not_found", message, {"trait": trait, "traits": keys})
    listing = ("samples", handle, key or "")
    position: Any = FIRST if cursor is None else tuple(read_cursor(listing, cursor))
    page = list_samples(settings.models_uri, settings.samples_uri, outline, key, position, limit)
    next_cursor = write_cursor(listing, page.next_position) if page.next_position else None
    items = [SampleAnswer.model_validate(sample, from_attributes=True) for sample in page.samples]
    return SamplePage(items=items, next_cursor=next_cursor, limit=limit)


@router.get(
    "/runs/{run_id}/report",
    response_class=Response,
    responses=describe_answers((404, "not_found"), (422, "invalid_request"), about="The page.", media_type=HTML),
    summary="Read the report of a run",
)
def read_report(
    request: Request,
    run_id: Annotated[
        UUID, Path(description="A run's id, of a 202 or of a model's `last_operation`.", examples=[RUN_ID_EXAMPLE])
    ],
) -> Response:
    """Read the page that a run wrote next to its samples, for a key that owns the model's namespace.

    The page exists when the run has ended at the gate or after it, even if nothing was attached. In a browser the key
    is the password of the dialog, with any user name.
    """
    stored, key = find_set(get_settings(request).samples_uri, str(run_id)), get_key(request)
    try:
        # The owner is taken from the set's folder, not from a file in it.
        page = read_inside(stored.folder, REPORT) if stored and key.owns(stored.handle) else None
    except (FileNotFoundError, OutsideFolderError):
        page = None
    if page is None:
        message = f"There is no report of a run {run_id}{key.own_place}."
        raise ApiError(404, "not_found", message, {"run_id": str(run_id)})
    return Response(page, media_type=HTML, headers=REPORT_HEADERS)


def count_model(settings: Settings, handle: str, key: Key) -> tuple[Outline, Mapping[str, SampleCount]]:
    """Return the outline of a model and the counts of its samples by trait key.

    Raises:
        DefinitionError: the definition or a line of its samples is wrong. The content is quoted only for a key that
            owns the namespace.
    """
    try:
        outline = load_outline(settings.models_uri, handle)
        return outline, count_samples(settings.models_uri, settings.samples_uri, outline)
    except DefinitionError as error:
        if key.owns(handle):
            raise
        hidden = "what is not shown to this key"
        problems = [replace(problem, found=hidden, suggestion=None) for problem in error.problems]
        raise DefinitionError(handle, problems) from None


def prefers_markdown(accept: str) -> bool:
    """Return whether an ``Accept`` header names markdown and does not name JSON."""
    names = {each.partition(";")[0].strip().lower() for each in accept.split(",")}
    return MARKDOWN in names and "application/json" not in names
