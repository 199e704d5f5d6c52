"""The route that lists a model's samples page by page, for keys that own the model's namespace."""

from collections.abc import Sequence
from dataclasses import astuple
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from pydantic.json_schema import SkipJsonSchema

from engine.definitions.loader import load_outline
from engine.definitions.outline import Outline
from engine.listing.page import AttachedPosition, AuthoredPosition, Position
from engine.listing.samples import list_samples
from flows.api.cursors import Cursor, read_cursor, write_cursor
from flows.api.errors import ApiError
from flows.api.refusals import OF_MODEL, describe_answers
from flows.api.routes.dependencies import find_own_model, get_storage
from flows.api.schemas import SampleAnswer, SamplePage

router = APIRouter(tags=["Reading"])
MAX_SAMPLES, DEFAULT_SAMPLES = 500, 100


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
    """The samples of a model, page by page, for a key that owns its namespace.

    Authored samples come first, then those of each run in the order in which they were attached. A run that ends
    between two pages moves nothing: every sample is listed once.
    """
    storage = get_storage(request)
    outline = load_outline(storage.models_uri, handle)
    key = find_trait(outline, trait) if trait is not None else None
    listing = ("samples", handle, key or "")
    position = read_position(listing, cursor) if cursor is not None else None
    page = list_samples(storage.models_uri, storage.samples_uri, outline, key, position, limit)
    following = page.next_position and write_position(listing, page.next_position)
    items = [SampleAnswer.model_validate(sample, from_attributes=True) for sample in page.samples]
    return SamplePage(items=items, next_cursor=following, limit=limit)


def find_trait(outline: Outline, wanted: str) -> str:
    """The key of the trait with this key or, if there is none, with this name.

    Raises:
        ApiError: 404, if the model has no such trait.
    """
    if (key := index_traits(outline).get(wanted)) is not None:
        return key
    keys = [trait.key for trait in outline.traits]
    said = f"{outline.handle} has no such trait. It has: {', '.join(keys) or 'none'}."
    raise ApiError(404, "trait_not_found", said, {"trait": wanted, "traits": keys})


def index_traits(outline: Outline) -> dict[str, str]:
    """The key of each trait by all that it may be called: its key, and its name where no key is the same."""
    names = {trait.name: trait.key for trait in reversed(outline.traits)}
    return names | {trait.key: trait.key for trait in outline.traits}


def write_position(listing: Sequence[str], position: Position) -> str:
    """The cursor of a position."""
    kind = "a" if isinstance(position, AuthoredPosition) else "s"
    return write_cursor(listing, [kind, *astuple(position)])


def read_position(listing: Sequence[str], cursor: str) -> Position:
    """The position that a cursor of this listing stands for.

    Raises:
        ApiError: 422, if this listing did not issue the cursor.
    """
    kind, *place = read_cursor(listing, cursor)
    return AuthoredPosition(*place) if kind == "a" else AttachedPosition(*place)
