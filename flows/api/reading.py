"""Reading: the routes that tell what there is: models, traits, samples, the card and the report of a run."""

from collections.abc import Sequence
from dataclasses import astuple
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic.json_schema import SkipJsonSchema

from engine.definition import load_outline
from engine.listed import AttachedPosition, AuthoredPosition, ListedSample, Position
from engine.listing import count_samples, list_samples
from engine.model_card import render_model_card
from engine.outline import Outline
from engine.sample_set import REPORT
from engine.store import find_set, read_file
from flows.api.answers import (
    RUN_ID_EXAMPLE,
    ModelAnswer,
    ModelPage,
    SampleAnswer,
    SamplePage,
    State,
    TraitAnswer,
    TraitList,
)
from flows.api.cursors import CURSOR_PATTERN, Part, read_cursor, write_cursor
from flows.api.describe import describe_models
from flows.api.errors import ApiError
from flows.api.examples import MODELS_CURSOR, SAMPLES_CURSOR
from flows.api.models import (
    Place,
    find_model,
    find_own_model,
    get_key,
    get_orchestrator,
    get_place,
    list_readable,
)
from flows.api.negotiation import MARKDOWN, prefers_markdown
from flows.api.openapi import BY_PREFECT, OF_MODEL, describe_answers, link
from flows.api.refusals import Refused

router = APIRouter(tags=["Reading"])
MODELS_AT_MOST, MODELS_SHOWN = 250, 50
SAMPLES_AT_MOST, SAMPLES_SHOWN = 500, 100
# Of a large namespace, one page of a rare state may be short and still have a next one.
LOOKED_AT_MOST = 1000

DEFINITION: Sequence[Refused] = ((422, "invalid_request"),)
OF_HANDLE = {"handle": "$response.body#/handle"}

# The page brings its own style and script and nothing from elsewhere.
REPORT_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'",
    "X-Content-Type-Options": "nosniff",
}

Handle = Annotated[str, Depends(find_model)]
OwnHandle = Annotated[str, Depends(find_own_model)]
NEXT = "`next_cursor` of the page before, with the same filters; left out for the first page."
ModelsCursor = Annotated[
    str | SkipJsonSchema[None],
    Query(description=NEXT, examples=[MODELS_CURSOR], json_schema_extra={"pattern": CURSOR_PATTERN}),
]
SamplesCursor = Annotated[
    str | SkipJsonSchema[None],
    Query(description=NEXT, examples=[SAMPLES_CURSOR], json_schema_extra={"pattern": CURSOR_PATTERN}),
]


@router.get(
    "/models",
    responses=describe_answers(
        ModelPage,
        (422, "invalid_request"),
        *BY_PREFECT,
        links={
            "model": link("read_model", "The first model.", handle="$response.body#/items/0/handle"),
            "traits": link("list_traits", "The first model's traits.", handle="$response.body#/items/0/handle"),
            "samples": link("list_samples", "The first model's samples.", handle="$response.body#/items/0/handle"),
            "next": link("list_models", "The next page.", cursor="$response.body#/next_cursor"),
        },
    ),
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
    limit: Annotated[int, Query(ge=1, le=MODELS_AT_MOST, description="Models on a page, at most.")] = MODELS_SHOWN,
    cursor: ModelsCursor = None,
) -> ModelPage:
    """The models of one namespace that the key may read, in the order of their handles.

    With `state` a page may hold fewer than `limit` and still have a next one.
    """
    listing = ("models", namespace, state or "")
    after = str(read_cursor(listing, cursor)[0]) if cursor is not None else ""
    handles = await run_in_threadpool(list_readable, get_place(request).models_uri, get_key(request), namespace)
    left = [handle for handle in handles if handle > after]
    shown, last = await find_models(request, left[:LOOKED_AT_MOST], state, limit)
    following = write_cursor(listing, [last]) if left and last != left[-1] else None
    return ModelPage(items=shown, next_cursor=following, limit=limit)


@router.get(
    "/models/{handle}",
    response_model=ModelAnswer,
    responses=describe_answers(
        ModelAnswer,
        *OF_MODEL,
        *DEFINITION,
        *BY_PREFECT,
        markdown=True,
        links={
            "traits": link("list_traits", "Its traits.", **OF_HANDLE),
            "samples": link("list_samples", "Its samples.", **OF_HANDLE),
            "synthesize": link("synthesize_samples", "More samples for it.", **OF_HANDLE),
        },
    ),
    summary="Read a model",
)
async def read_model(
    request: Request,
    response: Response,
    handle: Handle,
    # OpenAPI wants no parameter of this name: what may be accepted stands with the answer.
    accept: Annotated[str, Header(include_in_schema=False)] = "*/*",
) -> ModelAnswer | Response:
    """A model with its state and its last operation; with `Accept: text/markdown`, its card, which tells no state.

    This is where a run is followed: `last_operation` has its status and its progress.
    """
    place = get_place(request)
    response.headers["Vary"] = "Accept"
    if prefers_markdown(accept):
        card = await run_in_threadpool(write_card, place, handle)
        return Response(card, media_type=MARKDOWN, headers={"Vary": "Accept"})
    [model] = await describe_models(get_orchestrator(request), place, [handle])
    return model


@router.get(
    "/models/{handle}/traits", responses=describe_answers(TraitList, *OF_MODEL, *DEFINITION), summary="List traits"
)
def list_traits(request: Request, handle: Handle) -> TraitList:
    """The traits of a model, each with its poles and the counts of its samples, authored and synthesized."""
    place = get_place(request)
    outline = load_outline(place.models_uri, handle)
    counts = count_samples(place.models_uri, place.samples_uri, outline)
    return TraitList(
        traits=[
            TraitAnswer(
                key=trait.key,
                name=trait.name,
                description=trait.description,
                positive_label=trait.positive_label,
                negative_label=trait.negative_label,
                sample_count=counts[trait.key].sample_count,
                positive_samples=counts[trait.key].positive_samples,
                negative_samples=counts[trait.key].negative_samples,
                kind="extrinsic",
                discrimination=None,
                explained_variance=None,
                anchor_sample_ids=None,
            )
            for trait in outline.traits
        ]
    )


@router.get(
    "/models/{handle}/samples",
    operation_id="list_samples",
    responses=describe_answers(
        SamplePage,
        *OF_MODEL,
        (403, "forbidden"),
        (404, "trait_not_found"),
        (422, "invalid_request"),
        links={
            "next": link(
                "list_samples", "The next page.", handle="$request.path.handle", cursor="$response.body#/next_cursor"
            )
        },
    ),
    summary="List samples",
)
def list_model_samples(
    request: Request,
    handle: OwnHandle,
    trait: Annotated[
        str | SkipJsonSchema[None],
        Query(description="Samples of this trait only, by its key or its name.", examples=["clarity"]),
    ] = None,
    limit: Annotated[int, Query(ge=1, le=SAMPLES_AT_MOST, description="Samples on a page, at most.")] = SAMPLES_SHOWN,
    cursor: SamplesCursor = None,
) -> SamplePage:
    """The samples of a model, page by page, for a key that owns its namespace.

    Authored samples come first, then those of each run in the order in which they were attached. A run that ends
    between two pages moves nothing: every sample is listed once.
    """
    place = get_place(request)
    outline = load_outline(place.models_uri, handle)
    key = find_trait(outline, trait) if trait is not None else None
    listing = ("samples", handle, key or "")
    position = read_position(listing, cursor) if cursor is not None else None
    page = list_samples(place.models_uri, place.samples_uri, outline, key, position, limit)
    following = page.next_position and write_position(listing, page.next_position)
    return SamplePage(items=[tell_sample(sample) for sample in page.samples], next_cursor=following, limit=limit)


@router.get(
    "/runs/{run_id}/report",
    response_class=Response,
    responses=describe_answers("text/html", (404, "not_found")),
    summary="Read the report of a run",
)
def read_report(
    request: Request,
    run_id: Annotated[
        str,
        Path(
            description="A run's id, of a 202 or of a model's `last_operation`.",
            examples=[RUN_ID_EXAMPLE],
            json_schema_extra={"format": "uuid"},
        ),
    ],
) -> Response:
    """The page that a run left beside its samples, for a key that owns the model's namespace.

    There is one once the run has ended at the gate or behind it, also where nothing was attached. For a browser the key
    is the password of its dialog, with any user name.
    """
    place = get_place(request)
    stored = find_set(place.samples_uri, run_id) if _is_run_id(run_id) else None
    if stored is None or not get_key(request).owns(str(stored.manifest["handle"])):
        raise ApiError(404, "not_found", f"There is no report of a run {run_id}.", {"run_id": run_id})
    return Response(read_file(stored.file(REPORT)), media_type="text/html", headers=REPORT_HEADERS)


async def find_models(
    request: Request, handles: Sequence[str], state: State | None, limit: int
) -> tuple[list[ModelAnswer], str]:
    """At most ``limit`` models in this state, and the last handle that was looked at."""
    found: list[ModelAnswer] = []
    last = ""
    step = limit if state is None else max(limit, MODELS_SHOWN)
    for start in range(0, len(handles), step):
        described = await describe_models(get_orchestrator(request), get_place(request), handles[start : start + step])
        for model in described:
            last = model.handle
            found += [model] if state is None or model.state == state else []
            if len(found) == limit:
                return found, last
    return found, last


def find_trait(outline: Outline, asked: str) -> str:
    """The key of the trait that has this key, or else this name.

    Raises:
        ApiError: 404.
    """
    keys = [trait.key for trait in outline.traits]
    names = {trait.name: trait.key for trait in reversed(outline.traits)}
    if asked in keys:
        return asked
    if asked in names:
        return names[asked]
    said = f"{outline.handle} has no such trait. It has: {', '.join(keys) or 'none'}."
    raise ApiError(404, "trait_not_found", said, {"trait": asked, "traits": keys})


def write_position(listing: Sequence[str], position: Position) -> str:
    """The cursor of a position."""
    letter = "a" if isinstance(position, AuthoredPosition) else "s"
    return write_cursor(listing, [letter, *astuple(position)])


def read_position(listing: Sequence[str], cursor: str) -> Position:
    """The position of a cursor that this listing gave.

    Raises:
        ApiError: 422, it did not.
    """
    letter, *place = read_cursor(listing, cursor)
    return AuthoredPosition(*map(int, place)) if letter == "a" else _read_attached(place)


def tell_sample(sample: ListedSample) -> SampleAnswer:
    """A sample as the surface shows it."""
    return SampleAnswer.model_validate(sample, from_attributes=True)


def write_card(place: Place, handle: str) -> str:
    """The model card; of a model whose definition cannot be read, what can be said of it all the same."""
    outline = load_outline(place.models_uri, handle)
    return render_model_card(outline, count_samples(place.models_uri, place.samples_uri, outline))


def _read_attached(place: Sequence[Part]) -> AttachedPosition:
    attached_ns, run_id, row = place
    return AttachedPosition(int(attached_ns), str(run_id), int(row))


def _is_run_id(text: str) -> bool:
    """Prefect's ids are UUIDs; nothing else may become part of a path."""
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False
