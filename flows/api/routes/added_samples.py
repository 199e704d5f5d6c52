"""The route that adds samples to a draft: all of a request or none, and each sample once however often it is sent."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from engine.definitions.loader import check_traits, load_outline
from engine.definitions.outline import Outline
from engine.domain.model import Seed, digest_text
from engine.domain.samples import make_id
from engine.errors import SampleConflictError
from engine.store.added_samples import MAX_TEXT_CHARACTERS, add_samples, choose_new
from engine.store.earlier.rows import find_qualities
from engine.store.store import translate_errors
from engine.store.writers import lock_model
from flows.api.refusals import OF_CHANGE, describe_answers
from flows.api.routes.body import Body, describe_body, read_body, refuse_field
from flows.api.routes.changes import change_draft
from flows.api.routes.dependencies import Storage, find_changeable_model, get_storage
from flows.api.routes.samples import index_traits
from flows.api.schemas import AddedSamples

router = APIRouter(tags=["Changing"])

MOST_SAMPLES = 500
MAX_URL_CHARACTERS = 2048
# What Python calls space and regular expressions do not, too.
NOT_BLANK = r"[^\s\x1c-\x1f\x85]"


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
        """Accepts the digest of the text alone.

        Raises:
            PydanticCustomError: it is another text's.
        """
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
    """Adds samples to a draft, with the provenance `authored`: 1 to 500 at a time, all of them or none.

    Sending the same request again is safe: a sample that is there already (same trait, text and quality; authored,
    added or attached) answers with its id. The same trait and text with another quality, in the model or twice in one
    request, is 422. The `details` of a 422 have the `index` of the first sample that was refused.
    """
    wanted = await read_body(request, AddBody)
    storage = get_storage(request)
    samples = await run_in_threadpool(_check_model, storage, handle, wanted.samples)
    return AddedSamples(ids=await change_draft(request, handle, lambda: _add(storage, handle, samples)))


def _check_model(storage: Storage, handle: str, wanted: Sequence[NewSample]) -> list[Seed]:
    """The samples with their traits by keys, once the model can take them.

    Raises:
        NoTraitsError, DefinitionError: the model's definition does not permit it.
        ApiError: 422, a trait that the model has not, or a text that has another quality already.
    """
    outline = load_outline(storage.models_uri, handle)
    check_traits(outline)
    samples = _find_traits(outline, wanted)
    with _refusing_conflicts():
        choose_new(storage.models_uri, outline, samples, _find_attached(storage, handle, samples))
    return samples


def _find_traits(outline: Outline, wanted: Sequence[NewSample]) -> list[Seed]:
    keys = index_traits(outline)
    for index, sample in enumerate(wanted):
        if sample.trait not in keys:
            listed = ", ".join(trait.key for trait in outline.traits)
            said = f"Sample {index}: {outline.handle} has no trait {sample.trait[:60]!r}. It has: {listed}."
            raise refuse_field(said, "trait", index=index)
    return [
        Seed(keys[sample.trait], sample.text.strip(), sample.quality, source_url=sample.source_url) for sample in wanted
    ]


def _add(storage: Storage, handle: str, samples: Sequence[Seed]) -> list[int]:
    place = f"{storage.samples_uri.rstrip('/')}/handle={handle}"
    # A run of another Prefect server may be about to attach the same text.
    with _refusing_conflicts(), translate_errors(place, "Permit writing; nothing was added"), lock_model(place):
        return add_samples(storage.models_uri, handle, samples, _find_attached(storage, handle, samples))


def _find_attached(storage: Storage, handle: str, samples: Sequence[Seed]) -> dict[int, set[float]]:
    ids = [make_id(handle, sample.trait, sample.text) for sample in samples]
    return find_qualities(storage.samples_uri, handle, ids)


@contextmanager
def _refusing_conflicts() -> Iterator[None]:
    try:
        yield
    except SampleConflictError as error:
        raise refuse_field(f"{error}.", "quality", index=error.index) from None
