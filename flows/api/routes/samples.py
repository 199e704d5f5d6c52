"""The routes that list a model's samples page by page, and take one off a draft."""

from collections.abc import Sequence
from dataclasses import astuple
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.concurrency import run_in_threadpool
from pydantic.json_schema import SkipJsonSchema
from starlette.convertors import StringConvertor, register_url_convertor

from engine.definitions.loader import load_outline
from engine.definitions.outline import Outline
from engine.listing.page import AttachedPosition, AuthoredPosition, Position
from engine.listing.places import Places, find_places, remove_samples
from engine.listing.samples import list_samples
from engine.store.removal import Removal
from flows.api.cursors import Cursor, read_cursor, write_cursor
from flows.api.errors import ApiError
from flows.api.refusals import OF_CHANGE, OF_MODEL, describe_answers
from flows.api.routes.changes import change_draft
from flows.api.routes.dependencies import Storage, find_changeable_model, find_own_model, get_key, get_storage
from flows.api.schemas import SAMPLE_ID_EXAMPLE, DeletedSample, SampleAnswer, SamplePage
from flows.run.set_events import emitting_removals

router = APIRouter(tags=["Reading"])
changing = APIRouter(tags=["Changing"])
MAX_SAMPLES, DEFAULT_SAMPLES = 500, 100


class SampleConvertor(StringConvertor):
    """Any part of a path but the one that is an endpoint of its own: another method than that one's is 405 there."""

    regex = "(?!synthesize$)[^/]+"


register_url_convertor("sample", SampleConvertor())


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


@changing.delete(
    "/models/{handle}/samples/{sample_id:sample}",
    operation_id="delete_sample",
    responses=describe_answers(
        *OF_CHANGE,
        (404, "sample_not_found"),
        (409, "sample_authored"),
        about="The sample is gone.",
    ),
    summary="Delete a sample",
)
async def delete_model_sample(
    request: Request,
    handle: Annotated[str, Depends(find_changeable_model)],
    sample_id: Annotated[int, Path(description="A sample's id, as listings show it.", examples=[SAMPLE_ID_EXAMPLE])],
) -> DeletedSample:
    """Takes a sample off a draft: one that a run attached, or one that was added.

    The manifest of an attached one's set says when it went, and by which key. A sample that stands in a
    file that an author wrote is 409, with the file and the line in the message: it is taken out there.
    """
    storage, who = get_storage(request), get_key(request).id
    await run_in_threadpool(_find_sample, storage, handle, sample_id)
    await change_draft(request, handle, lambda: _delete(storage, handle, sample_id, who))
    return DeletedSample(handle=handle)


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


def _find_sample(storage: Storage, handle: str, sample_id: int) -> Places:
    """Where a sample stands that may go.

    Raises:
        ApiError: 404, there is none; 409, an author wrote it.
        DefinitionError: a file of the model has mistakes.
    """
    places = find_places(storage.models_uri, storage.samples_uri, handle, [sample_id])
    details = {"sample_id": sample_id}
    if place := places.authored.get(sample_id):
        said = f"Sample {sample_id} stands in {place}, which its author wrote. Take it out there."
        raise ApiError(409, "sample_authored", said, details)
    if sample_id not in places.removable:
        raise ApiError(404, "sample_not_found", f"{handle} has no such sample.", details)
    return places


def _delete(storage: Storage, handle: str, sample_id: int, who: str) -> None:
    # Another request may have deleted it while this one waited.
    places = _find_sample(storage, handle, sample_id)
    with emitting_removals([stored for stored, _ in places.attached]):
        remove_samples(storage.models_uri, handle, places, Removal((sample_id,), datetime.now(UTC), who=who))
