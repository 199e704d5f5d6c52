"""Routes that add samples to a draft, all or none, without duplicates, or delete one sample.

Both change a model's samples while no run works on it.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated, TypeVar

from fastapi import APIRouter, Depends, Path, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError
from starlette.convertors import StringConvertor, register_url_convertor

from engine.definitions.lifecycle import check_draft
from engine.definitions.loader import check_traits, load_outline
from engine.domain.model import Seed, digest_text
from engine.errors import ModelBusyError, OrchestratorError
from engine.listing.locations import SampleLocation, find_in_model, list_touched, remove_samples
from engine.settings import Settings
from engine.store.added_samples import MAX_TEXT_CHARACTERS, add_samples, choose_new
from engine.store.changes import Removal
from engine.store.store import translate_errors
from engine.store.writers import lock_model
from flows.api.enqueue import find_holder, refuse_run
from flows.api.errors import ApiError
from flows.api.orchestrator import Orchestrator
from flows.api.refusals import OF_CHANGE, describe_answers
from flows.api.routes.body import Body, describe_body, read_body, refuse_field
from flows.api.routes.dependencies import (
    find_changeable_model,
    get_key,
    get_orchestrator,
    get_settings,
    index_traits,
)
from flows.api.schemas import SAMPLE_ID_EXAMPLE, AddedSamples, DeletedSample
from flows.run.set_events import emitting_removals

router = APIRouter(tags=["Changing"])

MOST_SAMPLES = 500
MAX_URL_CHARACTERS = 2048
# No NUL, and not blank: Python treats more characters as space than regular expressions do.
NOT_BLANK = r"^[^\x00]*[^\s\x00\x1c-\x1f\x85][^\x00]*$"
# Another change takes less than a second. The slot of a request that died is free when its lease expires.
WAIT_SECONDS = 10.0
POLL_SECONDS = 0.2
UNDONE = "Nothing was changed"
AWAY = f"Prefect's server does not answer. {UNDONE}; ask again later."
Result = TypeVar("Result")


class NewSample(Body):
    """A sample to add."""

    trait: str = Field(description="The trait, by its key or its name.", examples=["clarity"])
    text: str = Field(
        min_length=1,
        max_length=MAX_TEXT_CHARACTERS,
        pattern=NOT_BLANK,
        description="The text; it is kept without the space around it.",
        examples=["Press the green button."],
    )
    quality: float = Field(ge=0, le=1, description="1 is the trait's positive pole, 0 its negative one.")
    source_url: Annotated[str, Field(max_length=MAX_URL_CHARACTERS, pattern=NOT_BLANK)] | None = Field(
        None, description="Where the text was found."
    )
    content_sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = Field(
        None,
        description="SHA-256 of the UTF-8 text as it is sent, in hexadecimal: a text that was altered on its way is "
        "refused.",
    )

    @field_validator("content_sha256")
    @classmethod
    def check_digest(cls, digest: str | None, info: ValidationInfo) -> str | None:
        """Refuse the digest of another text."""
        if digest is not None and "text" in info.data and digest != digest_text(info.data["text"]):
            raise PydanticCustomError("other_digest", "This is not the SHA-256 of the UTF-8 text")
        return digest


class AddBody(Body):
    """Samples to add, all or none."""

    model_config = ConfigDict(
        title="AddSamplesRequest",
        json_schema_extra={
            "examples": [{"samples": [{"trait": "clarity", "text": "Press the green button.", "quality": 1.0}]}]
        },
    )

    samples: list[NewSample] = Field(min_length=1, max_length=MOST_SAMPLES, description="1 to 500 of them.")


@router.post(
    "/models/{handle}/samples",
    operation_id="add_samples",
    responses=describe_answers(*OF_CHANGE, (422, "no_traits"), about="The samples are there."),
    openapi_extra=describe_body(AddBody),
    summary="Add samples",
)
async def add_model_samples(request: Request, handle: Annotated[str, Depends(find_changeable_model)]) -> AddedSamples:
    """Add samples to a draft, with the provenance `authored`: 1 to 500 at a time, all of them or none.

    Sending the same request again is safe: a sample that is there already (same trait, text and quality; authored,
    added or attached) answers with its id. The same trait and text with another quality, in the model or twice in one
    request, is 422. The `details` of a 422 have the `index` of the first refused sample.
    """
    body = await read_body(request, AddBody)
    settings = get_settings(request)
    samples = await run_in_threadpool(_check_model, settings, handle, body.samples)
    folder = f"{settings.samples_uri.rstrip('/')}/handle={handle}"

    def add() -> list[int]:
        # A run of another Prefect server may be about to attach the same text.
        with translate_errors(folder, "Permit writing; nothing was added"), lock_model(folder):
            return add_samples(settings.models_uri, settings.samples_uri, handle, samples)

    return AddedSamples(ids=await change_draft(request, handle, add))


class SampleConvertor(StringConvertor):
    """Any part of a path except ``synthesize``, which is another endpoint: other methods are 405 there."""

    regex = "(?!synthesize$)[^/]+"


register_url_convertor("sample", SampleConvertor())


@router.delete(
    "/models/{handle}/samples/{sample_id:sample}",
    operation_id="delete_sample",
    responses=describe_answers(
        *OF_CHANGE, (404, "sample_not_found"), (409, "sample_authored"), about="The sample is gone."
    ),
    summary="Delete a sample",
)
async def delete_model_sample(
    request: Request,
    handle: Annotated[str, Depends(find_changeable_model)],
    sample_id: Annotated[int, Path(description="A sample's id, as listings show it.", examples=[SAMPLE_ID_EXAMPLE])],
) -> DeletedSample:
    """Delete a sample of a draft: one that a run attached, or one that was added.

    The manifest of an attached sample's set says when it was deleted, and by which key. A sample in a file that an
    author wrote is 409, with the file and the line in the message: delete it in that file.
    """
    settings, key_name = get_settings(request), get_key(request).name
    await run_in_threadpool(_find_sample, settings, handle, sample_id)

    def delete() -> None:
        # Another request may have deleted it while this one waited.
        locations = _find_sample(settings, handle, sample_id)
        with emitting_removals(list_touched(locations)):
            removal = Removal((sample_id,), datetime.now(UTC), who=key_name)
            remove_samples(settings.models_uri, handle, locations, removal)

    await change_draft(request, handle, delete)
    return DeletedSample(handle=handle)


async def change_draft(request: Request, handle: str, change: Callable[[], Result]) -> Result:
    """Call ``change`` in a thread while the slot of a draft is held, so that no run begins to work on the model.

    Requests to this process change a model one by one, so only one request at a time asks Prefect for the slot.

    Raises:
        FrozenModelError: the model is not a draft.
        ApiError: 409, a run works on the model, or other requests change it for the whole waiting time.
        OrchestratorError: Prefect's server does not answer; nothing was changed.
    """
    models_uri = get_settings(request).models_uri
    await run_in_threadpool(check_draft, models_uri, handle, UNDONE)
    orchestrator = get_orchestrator(request)
    live = (await orchestrator.list_live([handle]))[handle]
    if live:
        raise refuse_run(handle, find_holder(live).run_id)
    wait_seconds: float = request.app.state.change_seconds
    lock: asyncio.Lock = request.app.state.change_locks[handle]
    try:
        async with asyncio.timeout(wait_seconds):
            await lock.acquire()
    except TimeoutError:
        raise _refuse_crowd(handle) from None
    try:
        return await run_in_threadpool(_change_alone, orchestrator, models_uri, handle, wait_seconds, change)
    finally:
        lock.release()


def _change_alone(
    orchestrator: Orchestrator, models_uri: str, handle: str, wait_seconds: float, change: Callable[[], Result]
) -> Result:
    deadline = time.monotonic() + wait_seconds
    while True:
        try:
            with orchestrator.lock_model(handle):
                check_draft(models_uri, handle, UNDONE)
                return change()
        except OrchestratorError as error:
            # On SQLite Prefect's server refuses a writer while another writes.
            if time.monotonic() > deadline:
                # The message of this error has the server's address.
                raise OrchestratorError(AWAY) from error
        except ModelBusyError as error:
            if error.run_id is not None:
                raise refuse_run(handle, error.run_id) from None
            if time.monotonic() > deadline:
                raise _refuse_crowd(handle) from None
        time.sleep(POLL_SECONDS)


def _refuse_crowd(handle: str) -> ApiError:
    cause = f"{handle} is being changed by another request, or a run begins."
    return ApiError(409, "model_busy", f"{cause} Nothing was changed; ask again in a moment.")


def _check_model(settings: Settings, handle: str, new_samples: Sequence[NewSample]) -> list[Seed]:
    outline = load_outline(settings.models_uri, handle)
    check_traits(outline)
    keys = index_traits(outline)
    for index, sample in enumerate(new_samples):
        if sample.trait not in keys:
            listed = ", ".join(trait.key for trait in outline.traits)
            message = f"Sample {index}: {outline.handle} has no trait {sample.trait[:60]!r}. It has: {listed}."
            raise refuse_field(message, "trait", index=index)
    samples = [
        Seed(keys[sample.trait], sample.text.strip(), sample.quality, source_url=sample.source_url)
        for sample in new_samples
    ]
    choose_new(settings.models_uri, settings.samples_uri, outline, samples)
    return samples


def _find_sample(settings: Settings, handle: str, sample_id: int) -> list[SampleLocation]:
    locations = find_in_model(settings.models_uri, settings.samples_uri, handle, [sample_id])
    details = {"sample_id": sample_id}
    if authored := [place.where for place in locations if place.state == "authored" and not place.is_added]:
        message = f"Sample {sample_id} stands in {authored[0]}, which its author wrote. Take it out there."
        raise ApiError(409, "sample_authored", message, details)
    if not any(place.is_removable for place in locations):
        raise ApiError(404, "sample_not_found", f"{handle} has no such sample.", details)
    return locations
