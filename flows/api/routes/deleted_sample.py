"""The route that takes one sample off a draft: one that a run attached, or one that was added over HTTP."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request
from fastapi.concurrency import run_in_threadpool
from starlette.convertors import StringConvertor, register_url_convertor

from engine.listing.places import Places, find_places, remove_samples
from engine.store.removal import Removal
from flows.api.errors import ApiError
from flows.api.refusals import OF_CHANGE, describe_answers
from flows.api.routes.changes import change_draft
from flows.api.routes.dependencies import Storage, find_changeable_model, get_key, get_storage
from flows.api.schemas import SAMPLE_ID_EXAMPLE, DeletedSample
from flows.run.set_events import emitting_removals

router = APIRouter(tags=["Changing"])


class SampleConvertor(StringConvertor):
    """Any part of a path but the one that is an endpoint of its own: another method than that one's is 405 there."""

    regex = "(?!synthesize$)[^/]+"


register_url_convertor("sample", SampleConvertor())


@router.delete(
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
